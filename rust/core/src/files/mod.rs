//! Files that survive a crash: CSV files, event files, and files that are replaced atomically.

mod append_file;
pub mod csv;
pub mod event_file;
mod owner;
pub mod replace;

use append_file::AppendFile;
use owner::Owner;
