//! The journal's face: open, close, record.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use symbolon_core::audit::{
    AdminEvent, Anchor, Closing, Conclusion, Members, Opening, Outcome, Record,
};
use symbolon_core::clock::{Clock, Timestamp};
use symbolon_core::id::RequestId;
use tokio::runtime::Handle;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use super::Settings;
use super::anchors::Anchors;
use super::counters::{Counters, Readings};
use super::error::{JournalError, StartError};
use super::recovery::{Resumption, recover};
use super::sink::{Directory, FileSink, Sink};
use super::strangers::Tally;
use super::writer::{Class, Command, Gauge, Note, Writer};

pub use super::writer::Health;

/// What the journal stands on.
pub struct Parts {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Where chain heads are remembered.
    pub anchors: Arc<dyn Anchors>,
    /// The newest of them, as the store has it now.
    pub anchor: Option<Anchor>,
}

/// The audit log, open for writing. There is one.
#[derive(Debug)]
pub struct Journal {
    sender: mpsc::Sender<Command>,
    gauge: Arc<Gauge>,
    strangers: Tally,
    window: Duration,
}

/// Proof that a line of the log is durable.
///
/// ```compile_fail,E0451
/// let forged = symbolon::audit::Receipt { seq: 1 };
/// ```
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a receipt is what lets an answer leave"]
pub struct Receipt {
    seq: u64,
}

impl Receipt {
    /// The sequence number of the line.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        self.seq
    }
}

type Waiter = oneshot::Receiver<Result<u64, JournalError>>;

/// A request on record that has not ended. It holds the place of its closing in the queue, so that
/// what was opened can be closed however busy the journal is. Dropped, it is closed as abandoned.
///
/// ```compile_fail,E0451
/// let forged = symbolon::audit::Entry { opening: todo!(), ..todo!() };
/// ```
#[derive(Debug)]
#[must_use = "an entry that is dropped is recorded as abandoned"]
pub struct Entry {
    request: RequestId,
    opened: Duration,
    opening: Written,
    slot: Option<mpsc::OwnedPermit<Command>>,
    gauge: Arc<Gauge>,
}

#[derive(Debug)]
enum Written {
    Waiting(Waiter),
    Known(Result<(), JournalError>),
}

impl Journal {
    /// Opens the log, recovers its end and writes the first line of this run. Blocks on the disk.
    ///
    /// # Errors
    /// [`StartError`] if the directory is in use or refuses, or if the log's end is no log.
    pub fn start(settings: &Settings, parts: Parts) -> Result<(Self, Resumption), StartError> {
        let directory = Directory::lock(&settings.directory)?;
        let tail = recover(&directory, parts.anchor)?;
        let (rotate, reserve) = (settings.rotate_bytes, settings.reserve_bytes);
        let sink = FileSink::open(directory, tail.position, rotate, reserve)?;
        let journal = Self::with_sink(settings, parts, sink, |writer| {
            writer.begin(tail.chain, &tail.events)
        })?;
        Ok((journal, tail.resumption))
    }

    /// The journal over any sink. `begin` writes what comes first.
    pub(super) fn with_sink<S: Sink>(
        settings: &Settings,
        parts: Parts,
        sink: S,
        begin: impl FnOnce(&mut Writer<S>) -> Result<(), JournalError>,
    ) -> Result<Self, StartError> {
        let runtime = Handle::try_current().map_err(|_| StartError::NoRuntime)?;
        let (sender, receiver) = mpsc::channel(settings.queue.max(2));
        let strangers = Tally::new(settings.sources, parts.clock.now());
        let gauge = Arc::new(Gauge::new(parts.clock, settings.deadline));
        let mut writer =
            Writer::new(sink, parts.anchors, parts.anchor, Arc::clone(&gauge), runtime);
        begin(&mut writer).map_err(StartError::FirstLine)?;
        std::thread::Builder::new()
            .name(String::from("journal"))
            .spawn(move || writer.run(receiver))
            .map_err(StartError::Thread)?;
        Ok(Self { sender, gauge, strangers, window: settings.window })
    }

    /// Puts a request on record. Returns at once: the line is on its way to the disk, and comes
    /// before everything that is recorded after this call. Wait for [`Entry::durable`] before
    /// anything is issued; a read may go on, its closing vouches for both lines.
    ///
    /// # Errors
    /// [`JournalError`]: nothing is on record, and the request must be refused.
    pub fn open(&self, opening: &Opening<'_>) -> Result<Entry, JournalError> {
        self.gate()?;
        let members = Members::of(opening).map_err(|_| JournalError::TooLong)?;
        let (done, waiter) = oneshot::channel();
        let opened = self.gauge.clock.elapsed();
        let slot = self.sender.clone().try_reserve_owned().map_err(|e| self.refuse(&e))?;
        let note = self.note(Class::Opening, members, Some(done));
        self.sender.try_send(Command::Note(note)).map_err(|e| self.refuse(&e))?;
        Counters::add(&self.gauge.counters.openings, 1);
        Ok(Entry {
            request: opening.request,
            opened,
            opening: Written::Waiting(waiter),
            slot: Some(slot),
            gauge: Arc::clone(&self.gauge),
        })
    }

    /// Closes a request: resolves when opening and closing are both durable.
    ///
    /// Cancel: the closing is recorded all the same, with a `request.late` behind it.
    ///
    /// # Errors
    /// [`JournalError`]: the request must not be answered, and what it issued must be revoked.
    pub async fn close(
        &self,
        entry: Entry,
        conclusion: &Conclusion<'_>,
    ) -> Result<Receipt, JournalError> {
        entry.close(conclusion).await
    }

    /// Records an administrative operation; resolves when it is durable.
    ///
    /// # Errors
    /// [`JournalError`]: the operation must not be answered, nor done if it was not yet.
    pub async fn event(&self, event: &AdminEvent<'_>) -> Result<Receipt, JournalError> {
        Counters::add(&self.gauge.counters.events, 1);
        self.record(Class::Event, event).await
    }

    /// Counts a refusal of somebody who proved no identity. Costs a hash and a short lock, and never
    /// a line of its own.
    pub fn note_stranger(&self, reason: &'static str, source: IpAddr) {
        Counters::add(&self.gauge.counters.strangers, 1);
        self.strangers.note(reason, source);
    }

    /// Writes what was counted of strangers since the last time, if anything was.
    ///
    /// Cancel: the window may be lost.
    ///
    /// # Errors
    /// [`JournalError`]: the counts are kept for the next window.
    pub async fn report_strangers(&self) -> Result<Option<Receipt>, JournalError> {
        let Some(window) = self.strangers.take(self.gauge.clock.now()) else { return Ok(None) };
        let written = match self.gate() {
            Ok(()) => self.record(Class::Aggregate, &window).await,
            Err(error) => Err(error),
        };
        written.map(Some).inspect_err(|_| self.strangers.put_back(window))
    }

    /// Reports strangers once per window, for ever: for a task of the application. A failure is in
    /// the counters, and its counts come with the next window.
    pub async fn watch_strangers(self: Arc<Self>) {
        loop {
            tokio::time::sleep(self.window).await;
            let _ = self.report_strangers().await;
        }
    }

    /// Ends the log in order, after the line has been drained: writes what waits, a last line, and
    /// anchors that. Nothing is recorded afterwards.
    ///
    /// # Errors
    /// [`JournalError::Late`] if entries are still open, or the sink hangs, at the deadline.
    pub async fn stop(&self) -> Result<(), JournalError> {
        let _ = self.report_strangers().await;
        let (done, waiter) = oneshot::channel();
        let sent = self.sender.send_timeout(Command::Stop(done), self.gauge.deadline).await;
        sent.map_err(|_| JournalError::Late)?;
        match tokio::time::timeout(self.gauge.deadline, waiter).await {
            Ok(stopped) => stopped.unwrap_or(Err(JournalError::Closed)),
            Err(_) => Err(JournalError::Late),
        }
    }

    /// Whether requests are taken, and if not, why.
    #[must_use]
    pub fn health(&self) -> Health {
        if self.sender.is_closed() { Health::Closed } else { self.gauge.health() }
    }

    /// Counts since the start.
    #[must_use]
    pub fn readings(&self) -> Readings {
        self.gauge.counters.read()
    }

    /// How many places of the queue are taken: lines that wait, and closings of open requests.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.sender.max_capacity().saturating_sub(self.sender.capacity())
    }

    /// Refuses while the journal cannot write. Whoever is refused may cause a probe.
    fn gate(&self) -> Result<(), JournalError> {
        let refusal = match self.health() {
            Health::Sound => return Ok(()),
            Health::Full => JournalError::Full,
            Health::Failing => JournalError::Failing,
            Health::Unanchored => JournalError::Unanchored,
            Health::Hung => JournalError::Late,
            Health::Closed => JournalError::Closed,
        };
        if self.gauge.may_probe() {
            let _ = self.sender.try_send(Command::Probe);
        }
        Counters::add(&self.gauge.counters.refused, 1);
        Err(refusal)
    }

    async fn record(&self, class: Class, record: &impl Record) -> Result<Receipt, JournalError> {
        let members = Members::of(record).map_err(|_| JournalError::TooLong)?;
        let (done, waiter) = oneshot::channel();
        let note = self.note(class, members, Some(done));
        self.sender.try_send(Command::Note(note)).map_err(|e| self.refuse(&e))?;
        let seq = self.gauge.wait(waiter).await?;
        Ok(Receipt { seq })
    }

    fn note(
        &self,
        class: Class,
        members: Members,
        done: Option<oneshot::Sender<Result<u64, JournalError>>>,
    ) -> Note {
        Note { class, at: self.gauge.clock.now(), members, done }
    }

    fn refuse<T>(&self, error: &TrySendError<T>) -> JournalError {
        Counters::add(&self.gauge.counters.refused, 1);
        match error {
            TrySendError::Full(_) => JournalError::Busy,
            TrySendError::Closed(_) => JournalError::Closed,
        }
    }
}

impl Entry {
    /// The request.
    #[must_use]
    pub const fn request(&self) -> RequestId {
        self.request
    }

    /// Waits until the opening is on disk. Needed before anything is issued.
    ///
    /// Cancel: safe.
    ///
    /// # Errors
    /// [`JournalError`]: the opening is not on disk, or not in time.
    pub async fn durable(&mut self) -> Result<(), JournalError> {
        if let Written::Waiting(waiter) = &mut self.opening {
            self.gauge.urge();
            let written = self.gauge.wait(waiter).await.map(|_| ());
            self.opening = Written::Known(written);
        }
        self.opening_written()
    }

    async fn close(mut self, conclusion: &Conclusion<'_>) -> Result<Receipt, JournalError> {
        let (done, waiter) = oneshot::channel();
        self.send(conclusion, Some(done))?;
        let seq = self.gauge.wait(waiter).await?;
        // The opening went before, in this group or an earlier one: its fate is known.
        self.opening_written()?;
        Ok(Receipt { seq })
    }

    fn opening_written(&mut self) -> Result<(), JournalError> {
        match &mut self.opening {
            Written::Known(known) => *known,
            Written::Waiting(waiter) => match waiter.try_recv() {
                Ok(written) => written.map(|_| ()),
                Err(_) => Err(JournalError::Late),
            },
        }
    }

    fn send(
        &mut self,
        conclusion: &Conclusion<'_>,
        done: Option<oneshot::Sender<Result<u64, JournalError>>>,
    ) -> Result<(), JournalError> {
        let taken = self.gauge.clock.elapsed().saturating_sub(self.opened);
        let closing = Closing {
            request: self.request,
            conclusion,
            duration_us: u64::try_from(taken.as_micros()).unwrap_or(u64::MAX),
        };
        let members = Members::of(&closing).map_err(|_| JournalError::TooLong)?;
        let at: Timestamp = self.gauge.clock.now();
        let class = Class::Closing(self.request);
        if let Some(slot) = self.slot.take() {
            Counters::add(&self.gauge.counters.closings, 1);
            slot.send(Command::Note(Note { class, at, members, done }));
        }
        Ok(())
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if self.slot.is_some() {
            Counters::add(&self.gauge.counters.abandoned, 1);
            let _ = self.send(&Conclusion::bare(Outcome::Abandoned, "abandoned"), None);
        }
    }
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").field("anchor", &self.anchor).finish_non_exhaustive()
    }
}
