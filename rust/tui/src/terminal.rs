//! The terminal: raw mode, the alternate screen, signals; restored on every way out.

use std::io::{self, BufWriter, IsTerminal, Stdout, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use ratatui::Frame;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::event::{self, Event};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};

use crate::Error;

/// The terminal while it shows charts.
pub struct Terminal {
    inner: ratatui::Terminal<CrosstermBackend<Counted>>,
    written: Arc<AtomicUsize>,
    signals: Signals,
}

impl Terminal {
    /// Takes the terminal over.
    ///
    /// # Errors
    /// When the output is not a terminal, or refuses.
    pub fn enter() -> Result<Self, Error> {
        if !io::stdout().is_terminal() {
            return Err(Error::NotATerminal);
        }
        let signals = Signals::new()?;
        let written = Arc::<AtomicUsize>::default();
        let output = Counted {
            output: BufWriter::with_capacity(1 << 16, io::stdout()),
            written: written.clone(),
        };
        let inner = ratatui::Terminal::new(CrosstermBackend::new(output))?;
        let terminal = Self {
            inner,
            written,
            signals,
        };
        take()?;
        Ok(terminal)
    }

    /// Draws a frame; only what has changed is written. Returns the number of bytes.
    pub fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> Result<usize, Error> {
        self.written.store(0, Relaxed);
        self.inner.draw(draw)?;
        Ok(self.written.load(Relaxed))
    }

    /// The next key or resize, if there is one in time.
    pub fn event(&mut self, timeout: Duration) -> Result<Option<Event>, Error> {
        if self.signals.continued.swap(false, Relaxed) {
            // The shell has set its own mode in between.
            take()?;
            self.inner.clear()?;
            let (width, height) = ratatui::crossterm::terminal::size()?;
            return Ok(Some(Event::Resize(width, height)));
        }
        for wait in [Duration::ZERO, timeout] {
            if !wait_for_input(wait)? {
                self.signals.terminated.store(true, Relaxed);
                return Ok(None);
            }
            if event::poll(Duration::ZERO)? {
                return Ok(Some(event::read()?));
            }
        }
        Ok(None)
    }

    /// Draws everything again the next time.
    pub fn clear(&mut self) -> Result<(), Error> {
        Ok(self.inner.clear()?)
    }

    /// Stops the process, as Ctrl-Z does; returns when it is continued.
    pub fn suspend(&mut self) {
        give_back();
        stop();
        self.signals.continued.store(true, Relaxed);
    }

    /// Whether the process was asked to end.
    pub fn signal(&self) -> Option<Signal> {
        if self.signals.terminated.load(Relaxed) {
            Some(Signal::Terminate)
        } else if self.signals.interrupted.load(Relaxed) {
            Some(Signal::Interrupt)
        } else {
            None
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        give_back();
    }
}

/// A signal that ends the view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    Interrupt,
    Terminate,
}

fn take() -> io::Result<()> {
    enable_raw_mode()?;
    execute!(io::stdout(), EnterAlternateScreen, Hide)
}

/// The terminal as it was. Errors are ignored: it may be gone.
fn give_back() {
    _ = execute!(io::stdout(), Show, LeaveAlternateScreen);
    _ = disable_raw_mode();
}

/// Counts the bytes that the terminal gets.
struct Counted {
    output: BufWriter<Stdout>,
    written: Arc<AtomicUsize>,
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.output.write(bytes)?;
        self.written.fetch_add(count, Relaxed);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

/// Flags that signals set. Handlers that were there before, such as Python's, run too.
#[derive(Default)]
struct Signals {
    terminated: Arc<AtomicBool>,
    interrupted: Arc<AtomicBool>,
    continued: Arc<AtomicBool>,
    #[cfg(unix)]
    registered: Vec<signal_hook::SigId>,
    /// Signals have their usual effect again.
    over: Arc<AtomicBool>,
}

impl Signals {
    #[cfg(unix)]
    fn new() -> io::Result<Self> {
        use signal_hook::consts::{SIGCONT, SIGINT, SIGTERM};
        use signal_hook::flag::{register, register_conditional_default};

        let mut signals = Self::default();
        // SIGHUP keeps its usual effect, the end of the process: there is no terminal to restore then.
        register_conditional_default(SIGTERM, signals.over.clone())?;
        signals
            .registered
            .push(register(SIGTERM, signals.terminated.clone())?);
        signals
            .registered
            .push(register(SIGINT, signals.interrupted.clone())?);
        signals
            .registered
            .push(register(SIGCONT, signals.continued.clone())?);
        Ok(signals)
    }

    #[cfg(not(unix))]
    fn new() -> io::Result<Self> {
        Ok(Self::default())
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.over.store(true, Relaxed);
        #[cfg(unix)]
        for id in self.registered.drain(..) {
            signal_hook::low_level::unregister(id);
        }
    }
}

/// Stops the whole job: a script or `make` that started it would otherwise wait for it.
#[cfg(unix)]
fn stop() {
    _ = rustix::process::kill_current_process_group(rustix::process::Signal::TSTP);
}

#[cfg(not(unix))]
fn stop() {}

/// Waits until there may be input. False: the terminal has hung up; crossterm would then read the
/// end of its input for ever, on a whole core.
#[cfg(unix)]
fn wait_for_input(timeout: Duration) -> io::Result<bool> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    let output = io::stdout();
    let mut polled = [PollFd::new(&output, PollFlags::IN)];
    let timeout = Timespec {
        tv_sec: 0,
        tv_nsec: timeout.subsec_nanos().into(),
    };
    match poll(&mut polled, Some(&timeout)) {
        // A signal, such as that of a resize.
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    let gone = PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL;
    Ok(!polled[0].revents().intersects(gone))
}

#[cfg(not(unix))]
fn wait_for_input(timeout: Duration) -> io::Result<bool> {
    event::poll(timeout)?;
    Ok(true)
}
