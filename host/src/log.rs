//! The daemon's log: what is written, and how a line looks.

use fcp_host::home::{Config, LogFormat, LogLevel};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layered, SubscriberExt};
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::{Layer, Registry};

/// What the lines are written from: events that the level lets through.
type Levelled = Layered<reload::Layer<LevelFilter, Registry>, Registry>;

/// What writes the lines.
type Lines = Box<dyn Layer<Levelled> + Send + Sync>;

/// The subscriber that [`log`] makes.
pub(crate) type Log = Layered<reload::Layer<Lines, Levelled>, Levelled>;

/// Changes the log while it is written.
#[derive(Clone)]
pub(crate) struct Setting<W> {
    level: Handle<LevelFilter, Registry>,
    lines: Handle<Lines, Levelled>,
    writer: W,
}

/// A log to `writer`, and what changes it. Until settings are read it is JSON from `info` on.
pub(crate) fn log<W>(writer: W) -> (Log, Setting<W>)
where
    W: for<'a> MakeWriter<'a> + Clone + Send + Sync + 'static,
{
    let (filter, level) = reload::Layer::new(LevelFilter::INFO);
    let (layer, lines) = reload::Layer::new(in_format(LogFormat::Json, writer.clone()));
    let log = tracing_subscriber::registry().with(filter).with(layer);
    (log, Setting { level, lines, writer })
}

impl<W> Setting<W>
where
    W: for<'a> MakeWriter<'a> + Clone + Send + Sync + 'static,
{
    /// Takes what the settings say.
    //= docs/spec/home.md#configtoml
    pub(crate) fn take(&self, config: &Config) {
        if let Err(error) = self.level.reload(level(config.log.level)) {
            tracing::error!(%error, "the log's level was not changed");
        }
        self.format(config.log.format);
    }

    /// Writes what follows in `format`.
    pub(crate) fn format(&self, format: LogFormat) {
        if let Err(error) = self.lines.reload(in_format(format, self.writer.clone())) {
            tracing::error!(%error, "the log's format was not changed");
        }
    }
}

fn in_format<W>(format: LogFormat, writer: W) -> Lines
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    match format {
        LogFormat::Json => Box::new(lines.json().flatten_event(true)),
        // A log is a file as often as a terminal.
        LogFormat::Text => Box::new(lines.with_ansi(false)),
    }
}

fn level(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    /// A log's lines in memory.
    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Written {
        /// The lines since the last look.
        fn taken(&self) -> String {
            String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap()
        }
    }

    #[test]
    //= docs/spec/home.md#configtoml
    fn lines_look_as_the_settings_say_from_the_time_they_are_read() {
        let written = Written::default();
        let writer = written.clone();
        let (log, setting) = log(move || writer.clone());
        tracing::subscriber::with_default(log, || {
            tracing::info!(code = 7, "first");
            let line = written.taken();
            let json: serde_json::Value = serde_json::from_str(&line).unwrap();
            assert_eq!((&json["message"], &json["code"]), (&"first".into(), &7.into()));
            setting
                .take(&Config::parse(b"version = 1\n[log]\nformat = \"text\"\nlevel = \"warn\"\n").unwrap());
            tracing::info!("not told");
            tracing::warn!(code = 7, "second");
            let line = written.taken();
            assert!(line.contains(" WARN ") && line.contains("second code=7"), "{line}");
            assert!(!line.contains("not told") && !line.contains('{'), "{line}");
            setting.format(LogFormat::Json);
            tracing::error!("third");
            assert!(written.taken().starts_with('{'));
        });
    }
}
