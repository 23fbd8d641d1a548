//! Files that survive a crash: rows, events, and files that are replaced as a whole.

mod append_file;
pub mod csv;
pub mod event_file;
mod owner;
pub mod replace;

use append_file::AppendFile;
use owner::Owner;
