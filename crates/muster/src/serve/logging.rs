//! What the server says of itself: level, form and place, of which level and file change while it runs. Must not know
//! who says what.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::registry::Registry;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{LogSettings, LogTarget};

/// The log of the process.
pub struct Logging {
    level: reload::Handle<LevelFilter, Registry>,
    place: Place,
}

/// Where lines go.
#[derive(Clone)]
struct Place(Arc<ArcSwap<Target>>);

enum Target {
    Stderr,
    Stdout,
    File(File),
}

impl Logging {
    /// Begins to log.
    pub fn start(settings: &LogSettings) -> anyhow::Result<Self> {
        let place = Place(Arc::new(ArcSwap::from_pointee(open(&settings.to)?)));
        let (filter, level) = reload::Layer::new(LevelFilter::from_level(settings.level));
        let lines = tracing_subscriber::fmt::layer()
            .with_writer(place.clone())
            .with_target(false)
            // On a full disk it would be said by a macro that ends the thread when it cannot say it.
            .log_internal_errors(false);
        let lines = if settings.json {
            lines.json().flatten_event(true).boxed()
        } else {
            lines.with_ansi(false).boxed()
        };
        tracing_subscriber::registry().with(filter).with(lines).try_init().context("cannot log")?;
        Ok(Self { level, place })
    }

    /// Takes another level, and opens the place anew: a rotated file is left, the new one begun.
    pub fn change(&self, settings: &LogSettings) -> anyhow::Result<()> {
        self.place.0.store(Arc::new(open(&settings.to)?));
        self.level.modify(|level| *level = LevelFilter::from_level(settings.level))?;
        Ok(())
    }
}

fn open(target: &LogTarget) -> anyhow::Result<Target> {
    Ok(match target {
        LogTarget::Stderr => Target::Stderr,
        LogTarget::Stdout => Target::Stdout,
        LogTarget::File(path) => Target::File(append(path)?),
    })
}

fn append(path: &Path) -> anyhow::Result<File> {
    let opened = OpenOptions::new().create(true).append(true).mode(0o640).open(path);
    opened.with_context(|| format!("cannot write the log {}", path.display()))
}

/// One line's way out.
struct Line(Arc<Target>);

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.as_ref() {
            Target::Stderr => io::stderr().write(bytes),
            Target::Stdout => io::stdout().write(bytes),
            Target::File(file) => (&mut &*file).write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.0.as_ref() {
            Target::Stderr => io::stderr().flush(),
            Target::Stdout => io::stdout().flush(),
            Target::File(file) => (&mut &*file).flush(),
        }
    }
}

impl<'a> MakeWriter<'a> for Place {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line(self.0.load_full())
    }
}
