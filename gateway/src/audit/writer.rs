//! The one thread that writes.
//!
//! It takes what waits, encodes it behind the chain's head, writes and flushes it. As soon as a group
//! is on disk its head goes to the store, while those who waited are woken and the next group is
//! written; that one is acknowledged when both are done.
//!
//! INVARIANT: an acknowledged line is on disk, and the head below its group is anchored.

use std::sync::Arc;
use std::time::Duration;

use symbolon_core::audit::{Anchor, Chain, ChainEvent, Late, Members};
use symbolon_core::clock::Timestamp;
use symbolon_core::id::RequestId;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use self::commit::Commit;
use super::anchors::Anchors;
use super::counters::Counters;
use super::error::{JournalError, is_full};
use super::sink::Sink;

mod commit;
mod gauge;

pub(super) use gauge::Gauge;
pub use gauge::Health;

/// Most lines that are taken into one group.
const GROUP: usize = 1024;
/// How long a group may wait to fill up, and how often it is looked at meanwhile.
const PATIENCE: Duration = Duration::from_millis(1);
const GLANCES: u32 = 10;
/// Most requests that are remembered as late at a time; there is a counter for the rest.
const LATE: usize = 1024;

type Done = oneshot::Sender<Result<u64, JournalError>>;

/// What the thread is told.
#[derive(Debug)]
pub(super) enum Command {
    Note(Note),
    Probe,
    Stop(oneshot::Sender<Result<(), JournalError>>),
}

/// A line to write.
#[derive(Debug)]
pub(super) struct Note {
    pub(super) class: Class,
    pub(super) at: Timestamp,
    pub(super) members: Members,
    pub(super) done: Option<Done>,
}

/// What is given up first when there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Opening,
    Aggregate,
    Closing(RequestId),
    Event,
}

impl Class {
    /// Whether the reserve is there for it.
    const fn is_urgent(self) -> bool {
        match self {
            Self::Closing(_) | Self::Event => true,
            Self::Opening | Self::Aggregate => false,
        }
    }
}

/// What became of each note of a group.
type Fates = Vec<Result<u64, JournalError>>;

pub(super) struct Writer<S> {
    sink: S,
    chain: Chain,
    gauge: Arc<Gauge>,
    runtime: Handle,
    anchors: Arc<dyn Anchors>,
    anchored: u64,
    /// The commit that is under way.
    commit: Option<Commit>,
    /// What the journal itself has to say, at the beginning of the next group.
    own: Vec<Members>,
    late: Vec<RequestId>,
    buffer: Vec<u8>,
    lines: u64,
    /// How many closings a group has of late.
    usual: usize,
}

/// How many of the commands are closings, for which somebody waits.
fn closings(commands: &[Command]) -> usize {
    let is_closing = |command: &&Command| {
        matches!(command, Command::Note(Note { class: Class::Closing(_), .. }))
    };
    commands.iter().filter(is_closing).count()
}

impl<S: Sink> Writer<S> {
    pub(super) fn new(
        sink: S,
        anchors: Arc<dyn Anchors>,
        anchor: Option<Anchor>,
        gauge: Arc<Gauge>,
        runtime: Handle,
    ) -> Self {
        Self {
            sink,
            chain: Chain::default(),
            gauge,
            runtime,
            anchors,
            anchored: anchor.map_or(0, |anchor| anchor.seq),
            commit: None,
            own: Vec::new(),
            late: Vec::new(),
            buffer: Vec::new(),
            lines: 0,
            usual: 0,
        }
    }

    /// Writes the first lines of this run, on the caller's thread. No anchor is committed yet: the
    /// caller may be what drives the store.
    pub(super) fn begin(
        &mut self,
        chain: Chain,
        events: &[ChainEvent],
    ) -> Result<(), JournalError> {
        self.chain = chain;
        if let Err(error) = self.sink.restore_reserve() {
            if !is_full(&error) {
                tracing::error!(%error, "the audit reserve cannot be made");
            }
            self.gauge.degrade(JournalError::of(&error));
        }
        events.iter().for_each(|event| self.say(event));
        self.write(&[]).map(|_| ())
    }

    /// Runs until the journal is gone.
    pub(super) fn run(mut self, mut receiver: mpsc::Receiver<Command>) {
        let (mut commands, mut notes, mut stops) = (Vec::new(), Vec::new(), Vec::new());
        while receiver.blocking_recv_many(&mut commands, GROUP) > 0 {
            self.gather(&mut receiver, &mut commands);
            let mut probe = false;
            for command in commands.drain(..) {
                match command {
                    Command::Note(note) => notes.push(note),
                    Command::Probe => probe = true,
                    Command::Stop(done) => stops.push(done),
                }
            }
            if !stops.is_empty() {
                receiver.close();
            }
            if probe {
                self.probe();
            }
            if !notes.is_empty() {
                self.group(&mut notes);
            }
            if !self.late.is_empty() && receiver.is_empty() {
                self.group(&mut notes);
            }
        }
        self.finish(stops);
    }

    /// Lets a group fill up for a moment, until it is about as large as those before it were. A group
    /// costs two flushes, its own and that of its anchor, whether it has one line or a thousand. Who
    /// is alone is not kept waiting; an opening that nobody waits for is written with its closing.
    fn gather(&mut self, receiver: &mut mpsc::Receiver<Command>, commands: &mut Vec<Command>) {
        for _ in 0..GLANCES {
            if commands.len() >= GROUP || self.is_due(commands) {
                break;
            }
            std::thread::sleep(PATIENCE / GLANCES);
            while commands.len() < GROUP
                && let Ok(command) = receiver.try_recv()
            {
                commands.push(command);
            }
        }
        self.usual = closings(commands).max(self.usual * 7 / 8);
    }

    fn is_due(&self, commands: &[Command]) -> bool {
        let cannot_wait = |command: &Command| match command {
            Command::Probe | Command::Stop(_) => true,
            Command::Note(note) => match note.class {
                Class::Event | Class::Aggregate => true,
                Class::Closing(_) | Class::Opening => false,
            },
        };
        commands.iter().any(cannot_wait)
            || self.gauge.take_urgency()
            || closings(commands) >= self.usual.max(1)
    }

    /// Writes a group and wakes who waits for it.
    fn group(&mut self, notes: &mut Vec<Note>) {
        let before = self.chain.head();
        self.gauge.begin_write();
        self.start_commit(before);
        let written = self.write(notes);
        let anchored = self.settle_commit(before);
        self.gauge.end_write();
        if written.is_ok() && anchored.is_ok() {
            self.start_commit(self.chain.head());
        }
        let fates = written.unwrap_or_else(|error| vec![Err(error); notes.len()]);
        for (note, fate) in notes.drain(..).zip(fates) {
            self.wake(note, fate, anchored);
        }
    }

    fn wake(
        &mut self,
        note: Note,
        fate: Result<u64, JournalError>,
        anchored: Result<(), JournalError>,
    ) {
        let is_written = fate.is_ok();
        let answer = fate.and_then(|seq| anchored.map(|()| seq));
        let has_failed = answer.is_err();
        let Some(done) = note.done else { return };
        let is_gone = done.send(answer).is_err();
        if let Class::Closing(request) = note.class
            && is_written
            && (has_failed || is_gone)
            && self.late.len() < LATE
        {
            self.late.push(request);
        }
    }

    /// Makes `notes` durable, or as many as there is room for. An error is the fate of all.
    fn write(&mut self, notes: &[Note]) -> Result<Fates, JournalError> {
        self.rotate();
        let sound = self.gauge.health_of_writes();
        let error = match self.attempt(notes, sound) {
            Ok(fates) => return Ok(fates),
            Err(error) => error,
        };
        match self.fail(&error) {
            JournalError::Full => self.write_on_reserve(notes),
            other @ (JournalError::Failing
            | JournalError::Unanchored
            | JournalError::Late
            | JournalError::Busy
            | JournalError::TooLong
            | JournalError::Closed) => Err(other),
        }
    }

    /// The disk is full: writes what is urgent, in the room that is left or that the reserve gives
    /// back.
    fn write_on_reserve(&mut self, notes: &[Note]) -> Result<Fates, JournalError> {
        loop {
            let error = match self.attempt(notes, Err(JournalError::Full)) {
                Ok(fates) => return Ok(fates),
                Err(error) => error,
            };
            if !is_full(&error) {
                return Err(self.fail(&error));
            }
            let needed = u64::try_from(self.buffer.len()).unwrap_or(u64::MAX);
            match self.sink.release_reserve(needed) {
                Ok(true) => {}
                Ok(false) => return Err(JournalError::Full),
                Err(error) => return Err(self.fail(&error)),
            }
        }
    }

    /// Encodes and appends once. While writing is not sound, only what is urgent is written; the
    /// rest shares the fate that `sound` names.
    fn attempt(
        &mut self,
        notes: &[Note],
        sound: Result<(), JournalError>,
    ) -> std::io::Result<Fates> {
        let started = self.gauge.clock.elapsed();
        let (chain, fates) = self.encode(notes, sound);
        let lines = chain.head().seq.saturating_sub(self.chain.head().seq);
        if lines == 0 {
            return Ok(fates);
        }
        self.sink.append(&self.buffer)?;
        self.chain = chain;
        self.own.clear();
        self.late.clear();
        self.lines = self.lines.saturating_add(lines);
        let took = self.gauge.clock.elapsed().saturating_sub(started);
        self.gauge.counters.wrote(lines, self.buffer.len(), took);
        Ok(fates)
    }

    fn encode(&mut self, notes: &[Note], sound: Result<(), JournalError>) -> (Chain, Fates) {
        let mut chain = self.chain.clone();
        let now = self.gauge.clock.now();
        self.buffer.clear();
        chain.begin_group();
        for members in &self.own {
            chain.append(&mut self.buffer, now, members);
        }
        for request in &self.late {
            // A record of one id always fits.
            if let Ok(members) = Members::of(&Late { request: *request }) {
                chain.append(&mut self.buffer, now, &members);
            }
        }
        let fates = notes.iter().map(|note| {
            if !note.class.is_urgent() {
                sound?;
            }
            Ok(chain.append(&mut self.buffer, note.at, &note.members))
        });
        let fates = fates.collect();
        (chain, fates)
    }

    fn rotate(&mut self) {
        if !self.sink.is_long() {
            return;
        }
        match self.sink.rotate(self.chain.head().seq.saturating_add(1)) {
            Ok(previous) => {
                Counters::add(&self.gauge.counters.rotations, 1);
                // First in the new file, before anything that waits to be said.
                let rest = std::mem::take(&mut self.own);
                self.say(&ChainEvent::Continued { previous });
                self.own.extend(rest);
            }
            // A long file is better than none.
            Err(error) => tracing::warn!(%error, "the audit log was not rotated"),
        }
    }

    /// Tries whether writing works again: the reserve first, then a line.
    fn probe(&mut self) {
        if self.gauge.health_of_writes().is_ok() {
            return;
        }
        if let Err(error) = self.sink.restore_reserve() {
            self.fail(&error);
            return;
        }
        // Now, so that the first line of a new file is not among what is taken back below.
        self.rotate();
        let refused = self.gauge.counters.read().refused;
        let said = self.own.len();
        self.say(&ChainEvent::Restored { refused });
        let before = self.chain.head();
        self.gauge.begin_write();
        self.start_commit(before);
        let written = self.write(&[]);
        let anchored = self.settle_commit(before);
        self.gauge.end_write();
        self.own.truncate(said);
        if written.is_ok() && anchored.is_ok() && self.sink.holds_reserve() {
            self.gauge.recover();
        }
    }

    fn say(&mut self, event: &ChainEvent) {
        // The journal's own records are short.
        if let Ok(members) = Members::of(event) {
            self.own.push(members);
        }
    }

    fn fail(&self, error: &std::io::Error) -> JournalError {
        let failure = JournalError::of(error);
        if self.gauge.degrade(failure) {
            tracing::error!(%error, code = failure.code(), "the audit log cannot be written");
        }
        failure
    }

    /// Sends `head`, which is on disk, to the store, unless it is there or an older one is on its
    /// way.
    fn start_commit(&mut self, head: Anchor) {
        // It was begun before anybody asked for it; whoever asks now may find the store well again.
        if self.commit.as_ref().is_some_and(Commit::has_failed) {
            Counters::add(&self.gauge.counters.anchor_failures, 1);
            self.commit = None;
        }
        if self.anchored < head.seq && self.commit.is_none() {
            self.commit = Some(Commit::begin(&self.anchors, head, &self.runtime));
        }
    }

    /// Waits until `head` is anchored. An older commit that was late is waited for first, so that
    /// anchors never overtake one another.
    fn settle_commit(&mut self, head: Anchor) -> Result<(), JournalError> {
        while self.anchored < head.seq {
            self.start_commit(head);
            let Some(commit) = self.commit.take() else { break };
            let anchor = commit.head;
            match commit.end(&self.runtime, self.gauge.deadline) {
                Ok(Ok(())) => self.anchored = anchor.seq,
                Ok(Err(error)) => return Err(self.unanchored(&error)),
                Err(late) => {
                    self.commit = Some(late);
                    return Err(self.unanchored(&"the store does not answer"));
                }
            }
        }
        Ok(())
    }

    fn unanchored(&self, cause: &dyn std::fmt::Display) -> JournalError {
        Counters::add(&self.gauge.counters.anchor_failures, 1);
        if self.gauge.degrade(JournalError::Unanchored) {
            tracing::error!(%cause, "the audit chain cannot be anchored");
        }
        JournalError::Unanchored
    }

    /// Writes the last line and anchors it, so that nothing of this run can be cut unseen.
    fn finish(mut self, stops: Vec<oneshot::Sender<Result<(), JournalError>>>) {
        let lines = self.lines;
        self.say(&ChainEvent::Stopped { lines });
        self.gauge.begin_write();
        let written = self.write(&[]).map(|_| ());
        let head = self.chain.head();
        self.start_commit(head);
        let anchored = self.settle_commit(head);
        self.gauge.end_write();
        // The directory's lock goes with the sink, before anybody is told.
        drop(self.sink);
        for stop in stops {
            let _ = stop.send(written.and(anchored));
        }
    }
}
