//! Reading the values of each backend.

mod block;
mod cell;
mod flight;
mod item;
mod raw;
mod reader;
pub mod wait_time;

pub use block::{Access, Block, Form, Slot};
pub use cell::{Cell, Layout};
pub use flight::Flight;
pub use item::Item;
pub use reader::Reader;
