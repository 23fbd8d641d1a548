// The page by itself. TensorBoard loads index.js and calls render().
import { render } from "./index.js";

render();
