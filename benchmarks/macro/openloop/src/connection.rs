//! One non-blocking connection with at most one request in flight.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddrV4, TcpStream};

use rustix::io::Errno;
use rustix::net::{sockopt, AddressFamily, SocketFlags, SocketType};

use crate::answer::{self, Answer};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Connecting,
    Idle,
    /// `due_ns`: when the request in flight was planned.
    Busy {
        due_ns: u64,
    },
    Closed,
}

/// What reading brought.
#[derive(Debug, PartialEq, Eq)]
pub enum Received {
    Nothing,
    Answer { status: u16, closes: bool },
    Malformed,
    Closed,
}

pub struct Connection {
    pub state: State,
    stream: TcpStream,
    /// Beginning of an answer that came in pieces; empty in the usual case.
    partial: Vec<u8>,
}

impl Connection {
    /// Begins to connect; the socket is writable when that has ended.
    pub fn open(target: SocketAddrV4) -> Result<Self, Errno> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket =
            rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
        sockopt::set_tcp_nodelay(&socket, true)?;
        match rustix::net::connect(&socket, &target) {
            Ok(()) | Err(Errno::INPROGRESS) => Ok(Self {
                state: State::Connecting,
                stream: TcpStream::from(socket),
                partial: Vec::new(),
            }),
            Err(error) => Err(error),
        }
    }

    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// The result of connecting, once the socket is writable.
    pub fn connected(&mut self) -> bool {
        let good = matches!(sockopt::socket_error(&self.stream), Ok(Ok(())));
        self.state = if good { State::Idle } else { State::Closed };
        good
    }

    /// Sends a whole request. The socket's buffer is empty, since the answer to the request
    /// before has come; a short write therefore means that the connection is broken.
    pub fn send(&mut self, request: &[u8], due_ns: u64) -> bool {
        let sent = matches!(self.stream.write(request), Ok(n) if n == request.len());
        self.state = if sent {
            State::Busy { due_ns }
        } else {
            State::Closed
        };
        sent
    }

    /// Reads once; epoll is level-triggered and reports what is left.
    pub fn receive(&mut self, scratch: &mut [u8]) -> Received {
        let count = match self.stream.read(scratch) {
            Ok(0) => return self.close(Received::Closed),
            Ok(count) => count,
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                return Received::Nothing
            }
            Err(_) => return self.close(Received::Closed),
        };
        if !matches!(self.state, State::Busy { .. }) {
            return self.close(Received::Malformed); // bytes that nobody asked for
        }
        let verdict = if self.partial.is_empty() {
            answer::read(&scratch[..count])
        } else {
            self.partial.extend_from_slice(&scratch[..count]);
            answer::read(&self.partial)
        };
        self.conclude(verdict, &scratch[..count])
    }

    fn conclude(&mut self, verdict: Answer, bytes: &[u8]) -> Received {
        match verdict {
            Answer::Partial => {
                if self.partial.is_empty() {
                    self.partial.extend_from_slice(bytes);
                }
                Received::Nothing
            }
            Answer::Whole { status, closes } => {
                self.partial.clear();
                self.state = if closes { State::Closed } else { State::Idle };
                Received::Answer { status, closes }
            }
            Answer::Malformed => self.close(Received::Malformed),
        }
    }

    fn close(&mut self, why: Received) -> Received {
        self.state = State::Closed;
        why
    }
}
