//! Which process something belongs to.

/// The process that made something.
///
/// A child of a fork has copies of the parent's objects, but only one thread. Only the parent may write
/// what it has buffered and rename or remove its temporary files; and a lock that one of its threads
/// held stays locked in the child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner(u32);

impl Owner {
    /// The process that calls this.
    pub fn this_process() -> Self {
        Self(std::process::id())
    }

    /// Whether this process is the owner. This is a system call, too slow for every batch.
    pub fn is_here(self) -> bool {
        self == Self::this_process()
    }

    /// Another process, as a child of a fork sees it.
    #[cfg(test)]
    pub fn another_process() -> Self {
        Self(std::process::id() ^ 1)
    }
}
