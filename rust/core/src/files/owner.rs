//! The process that owns a resource.

/// The process that created an object.
///
/// A forked child has copies of the parent's objects, but only one thread. Only the parent may
/// write its buffers and rename or remove its temporary files. A lock that a thread of the parent
/// held stays locked in the child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner(u32);

impl Owner {
    /// The calling process.
    pub fn this_process() -> Self {
        Self(std::process::id())
    }

    /// Whether the calling process is the owner. This is a system call, too slow for every batch.
    pub fn is_here(self) -> bool {
        self == Self::this_process()
    }

    /// Another process, to simulate a forked child.
    #[cfg(test)]
    pub fn another_process() -> Self {
        Self(std::process::id() ^ 1)
    }
}
