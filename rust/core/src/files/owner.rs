//! Which process something belongs to.

/// The process that made something.
///
/// A child of a fork has a copy of everything, and no thread but its own: what the parent has
/// collected is the parent's to write, its temporary files are the parent's to rename and remove, and
/// its locks may be held for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner(u32);

impl Owner {
    /// The process that calls this.
    pub fn this_process() -> Self {
        Self(std::process::id())
    }

    /// Whether this process is the owner. It is a system call: nothing for every batch.
    pub fn is_here(self) -> bool {
        self == Self::this_process()
    }

    /// Another process, as a child of a fork sees it.
    #[cfg(test)]
    pub fn another_process() -> Self {
        Self(std::process::id() ^ 1)
    }
}
