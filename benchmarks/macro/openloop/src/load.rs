//! The event loop: sends what is due, reads what has come, reconnects what was closed.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::{epoll, Timespec};
use rustix::io::Errno;

use crate::connection::{Connection, Received, State};
use crate::options::Options;
use crate::schedule::Schedule;
use crate::tally::Tally;

/// Handshakes under way at one time while the connections are opened: well below the smallest
/// usual accept backlog, so that no SYN is dropped and repeated a second later.
const CONNECTING_MAX: usize = 64;
/// The server must accept all connections within this time.
const CONNECT_ALL: Duration = Duration::from_secs(30);
/// Pause before a refused connection is tried again.
const RECONNECT_PAUSE_NS: u64 = 10_000_000;
/// Longer than any answer of the measured upstream, so that one read takes a whole one.
const SCRATCH: usize = 64 * 1024;
const EVENTS: usize = 512;

/// The requests, whole and ready to send, one per path.
///
/// # Errors
/// A file that cannot be read or holds no line.
pub fn compose(options: &Options) -> Result<Vec<Vec<u8>>, String> {
    let read = |path: &std::path::Path| {
        std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))
    };
    let fields: String = read(&options.fields)?
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| format!("{line}\r\n"))
        .collect();
    let requests: Vec<Vec<u8>> = read(&options.paths)?
        .lines()
        .filter(|path| !path.is_empty())
        .map(|path| format!("GET {path} HTTP/1.1\r\n{fields}\r\n").into_bytes())
        .collect();
    if requests.is_empty() {
        return Err(format!("{}: no path in it", options.paths.display()));
    }
    Ok(requests)
}

pub struct Load<'a> {
    options: &'a Options,
    requests: Vec<Vec<u8>>,
    sent: usize,
    schedule: Schedule,
    tally: Tally,
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
    scratch: Vec<u8>,
    connections: Vec<Option<Connection>>,
    /// Free connections, the longest unused first: every connection gets its turn.
    idle: VecDeque<usize>,
    /// Planned moments of requests that wait for a free connection.
    waiting: VecDeque<u64>,
    /// Connections to open again, and when.
    broken: VecDeque<(u64, usize)>,
    /// Requests of the window that are in flight or waiting.
    unanswered: u64,
    start: Instant,
}

impl<'a> Load<'a> {
    /// # Errors
    /// The operating system has no epoll descriptor left.
    pub fn new(options: &'a Options, requests: Vec<Vec<u8>>) -> Result<Self, String> {
        Ok(Self {
            options,
            requests,
            sent: 0,
            schedule: Schedule::new(options.rate_per_s, options.warmup_s, options.seconds),
            tally: Tally::new()?,
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC).map_err(|e| e.to_string())?,
            events: Vec::with_capacity(EVENTS),
            scratch: vec![0; SCRATCH],
            connections: (0..options.connections).map(|_| None).collect(),
            idle: VecDeque::with_capacity(options.connections),
            waiting: VecDeque::new(),
            broken: VecDeque::new(),
            unanswered: 0,
            start: Instant::now(),
        })
    }

    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Opens every connection before the clock starts.
    ///
    /// # Errors
    /// Names how many the server has accepted, when it does not accept them all.
    pub fn connect_all(&mut self) -> Result<(), String> {
        let mut opened = 0;
        let wanted = self.connections.len();
        while self.idle.len() < wanted {
            while opened < wanted && opened - self.idle.len() < CONNECTING_MAX {
                self.connect(opened, 0);
                opened += 1;
            }
            self.poll(Duration::from_millis(100))?;
            if self.tally.connect_failures > 0 || self.start.elapsed() > CONNECT_ALL {
                return Err(format!(
                    "{}: {} of {wanted} connections accepted",
                    self.options.target,
                    self.idle.len()
                ));
            }
        }
        self.start = Instant::now();
        Ok(())
    }

    /// Runs the schedule and then waits for the last answers. `announce` is called with `begin`
    /// and `end` at the edges of the measured window.
    ///
    /// # Errors
    /// epoll failed.
    pub fn run(&mut self, announce: fn(&str)) -> Result<(), String> {
        self.run_until(self.schedule.window_start_ns())?;
        announce("begin");
        self.run_until(self.schedule.end_ns())?;
        announce("end");
        let deadline_ns = self.schedule.end_ns() + (self.options.grace_s * 1e9) as u64;
        while self.is_unfinished() && self.now_ns() < deadline_ns {
            self.turn(deadline_ns)?;
        }
        Ok(())
    }

    fn is_unfinished(&self) -> bool {
        self.unanswered > 0 || self.schedule.peek_ns().is_some()
    }

    fn run_until(&mut self, end_ns: u64) -> Result<(), String> {
        while self.now_ns() < end_ns {
            self.turn(end_ns)?;
        }
        Ok(())
    }

    /// One turn of the loop: plan, send, wait for events.
    fn turn(&mut self, end_ns: u64) -> Result<(), String> {
        let now_ns = self.now_ns();
        while self
            .broken
            .front()
            .is_some_and(|(at_ns, _)| *at_ns <= now_ns)
        {
            if let Some((_, index)) = self.broken.pop_front() {
                self.tally.reconnects += 1;
                self.connect(index, now_ns);
            }
        }
        self.plan(now_ns);
        self.send_waiting(now_ns);
        let wake_ns = [
            self.schedule.peek_ns(),
            self.broken.front().map(|(at_ns, _)| *at_ns),
        ]
        .into_iter()
        .flatten()
        .fold(end_ns, u64::min);
        self.poll(Duration::from_nanos(wake_ns.saturating_sub(self.now_ns())))
    }

    /// Moves what is due from the schedule to the waiting line.
    fn plan(&mut self, now_ns: u64) {
        while let Some(due_ns) = self.schedule.take(now_ns) {
            if self.schedule.measures(due_ns) {
                self.tally.offered += 1;
                self.unanswered += 1;
                if self.idle.len() > self.waiting.len() {
                    self.tally.record_lateness(now_ns - due_ns);
                }
            }
            self.waiting.push_back(due_ns);
        }
    }

    fn send_waiting(&mut self, now_ns: u64) {
        while !self.waiting.is_empty() {
            let Some(index) = self.idle.pop_front() else {
                self.tally.backlog_max = self.tally.backlog_max.max(self.waiting.len());
                return;
            };
            let Some(connection) = self.connections[index].as_mut() else {
                continue;
            };
            let Some(due_ns) = self.waiting.pop_front() else {
                return;
            };
            let request = &self.requests[self.sent % self.requests.len()];
            self.sent += 1;
            if !connection.send(request, due_ns) {
                self.tally.reset += self.forget(State::Busy { due_ns }, index);
                self.reopen(index, now_ns);
            }
        }
    }

    fn poll(&mut self, wait: Duration) -> Result<(), String> {
        let timeout = Timespec {
            tv_sec: wait.as_secs() as i64,
            tv_nsec: wait.subsec_nanos().into(),
        };
        self.events.clear();
        match epoll::wait(
            &self.epoll,
            spare_capacity(&mut self.events),
            Some(&timeout),
        ) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(format!("epoll: {error}")),
        }
        let now_ns = self.now_ns();
        for position in 0..self.events.len() {
            let index = self.events[position].data.u64() as usize;
            self.handle(index, now_ns);
        }
        Ok(())
    }

    fn handle(&mut self, index: usize, now_ns: u64) {
        let Some(connection) = self.connections[index].as_mut() else {
            return;
        };
        let before = connection.state;
        if before == State::Connecting {
            return self.established(index, now_ns);
        }
        match connection.receive(&mut self.scratch) {
            Received::Nothing => return,
            Received::Answer { status, closes } => {
                self.answered(before, status, now_ns);
                if !closes {
                    return self.idle.push_back(index);
                }
            }
            Received::Malformed => {
                self.tally.malformed += 1;
                self.forget(before, index);
            }
            Received::Closed => self.tally.reset += self.forget(before, index),
        }
        self.reopen(index, now_ns);
    }

    /// A connection attempt has ended.
    fn established(&mut self, index: usize, now_ns: u64) {
        let Some(connection) = self.connections[index].as_mut() else {
            return;
        };
        let readable = epoll::EventData::new_u64(index as u64);
        let good = connection.connected()
            && epoll::modify(
                &self.epoll,
                connection.stream(),
                readable,
                epoll::EventFlags::IN,
            )
            .is_ok();
        if good {
            self.idle.push_back(index);
        } else {
            self.tally.connect_failures += 1;
            self.reopen(index, now_ns + RECONNECT_PAUSE_NS);
        }
    }

    fn connect(&mut self, index: usize, now_ns: u64) {
        let data = epoll::EventData::new_u64(index as u64);
        let opened = Connection::open(self.options.target).and_then(|connection| {
            epoll::add(
                &self.epoll,
                connection.stream(),
                data,
                epoll::EventFlags::OUT,
            )?;
            Ok(connection)
        });
        match opened {
            Ok(connection) => self.connections[index] = Some(connection),
            Err(_) => {
                self.tally.connect_failures += 1;
                self.reopen(index, now_ns + RECONNECT_PAUSE_NS);
            }
        }
    }

    /// Drops the connection, which also takes it out of epoll, and plans to open another.
    fn reopen(&mut self, index: usize, at_ns: u64) {
        self.connections[index] = None;
        self.broken.push_back((at_ns, index));
    }

    fn answered(&mut self, before: State, status: u16, now_ns: u64) {
        let State::Busy { due_ns } = before else {
            return;
        };
        if self.schedule.measures(now_ns) {
            self.tally.completed_in_window += 1;
        }
        if !self.schedule.measures(due_ns) {
            return;
        }
        self.unanswered -= 1;
        self.tally.answered += 1;
        self.tally.record_latency(now_ns - due_ns);
        if !(200..300).contains(&status) {
            self.tally.non_2xx += 1;
        }
    }

    /// The connection ended without an answer. Returns how many requests of the window it took
    /// along: one or none.
    fn forget(&mut self, before: State, index: usize) -> u64 {
        match before {
            State::Busy { due_ns } if self.schedule.measures(due_ns) => {
                self.unanswered -= 1;
                1
            }
            State::Idle => {
                self.idle.retain(|free| *free != index);
                0
            }
            _ => 0,
        }
    }

    fn now_ns(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }
}
