//! Timeouts of many connections at a constant price: a hierarchical timing wheel (G. Varghese and
//! T. Lauck, "Hashed and Hierarchical Timing Wheels", SOSP 1987, scheme 7).
//!
//! Four wheels of 64 slots turn at 1, 64, 64^2 and 64^3 ticks a slot. An entry lies in the slot of
//! the finest wheel that its due tick shares a turn with; when a slot comes up, its entries fire or
//! move on. Beyond the coarsest wheel (64^4 ticks, 19 days) an entry waits for the next turn.
//!
//! An update is lazy: a later due time is only written down, and the entry moves when its slot comes
//! up. A busy connection pushes its idle timeout back with every request, and that is then a store.
//!
//! An entry never fires early. It fires in the first `advance` at or after the end of the tick in
//! which it is due: at most one tick late, plus the time by which the call to `advance` is late. An
//! entry that is due already when it is armed fires with the next tick.
//!
//! Entries live in one `Vec`, linked by index, with the slots' list heads in front.
#![forbid(unsafe_code)]

/// Milliseconds. The worker wakes once a tick anyway, for its heartbeat and its log; the timeouts
/// are seconds, so 100 ms of lateness does not show, and a finer tick would only wake an idle
/// worker more often.
pub const TICK_MS: u64 = 100;

const SLOT_BITS: u32 = 6;
const SLOTS: usize = 1 << SLOT_BITS;
const LEVELS: usize = 4;
/// Ticks in one turn of the coarsest wheel, minus one.
const TURN_MASK: u64 = (1 << (SLOT_BITS as usize * LEVELS)) - 1;

/// The list of entries whose slot has come up, still to be fired or moved. A list of its own, so
/// that what is armed while the due entries are being handed out belongs to a later tick.
const PENDING: u32 = (SLOTS * LEVELS) as u32;
const FIRST_ENTRY: usize = PENDING as usize + 1;

/// `wake_tick` of an entry that is in no list: every due time is earlier, so arming links it.
const DISARMED: u64 = u64::MAX;
/// `previous` of an entry on the free list.
const FREE: u32 = u32::MAX;
/// `next` of the free list's last entry.
const END: u32 = u32::MAX;

/// A list head or an entry. Lists are circular, so an entry unlinks without knowing its list.
#[derive(Clone, Copy, Debug)]
struct Node {
    previous: u32,
    next: u32,
    /// First tick at whose beginning the entry is due.
    due_tick: u64,
    /// Tick at which the slot comes up where the entry lies. Never after `due_tick`.
    wake_tick: u64,
}

impl Node {
    /// In no list but its own.
    fn alone(index: u32) -> Self {
        Self {
            previous: index,
            next: index,
            due_tick: 0,
            wake_tick: DISARMED,
        }
    }
}

#[derive(Debug)]
pub struct TimerWheel {
    nodes: Vec<Node>,
    free: u32,
    /// The first tick whose slots have not come up yet.
    next_tick: u64,
}

impl TimerWheel {
    /// `now_ms`: any monotonic clock; the same one in every call.
    pub fn new(now_ms: u64) -> Self {
        Self {
            nodes: (0..FIRST_ENTRY as u32).map(Node::alone).collect(),
            free: END,
            next_tick: now_ms / TICK_MS + 1,
        }
    }

    /// A new armed entry. The handle is valid until `remove`; it is never `u32::MAX`.
    pub fn insert(&mut self, due_ms: u64) -> u32 {
        let index = self.allocate();
        self.nodes[index as usize].due_tick = due_ms.div_ceil(TICK_MS);
        self.link(index);
        index
    }

    /// Sets when the entry is due; arms it again if it has fired. False if there is no such entry.
    #[inline]
    pub fn update(&mut self, handle: u32, due_ms: u64) -> bool {
        if !self.contains(handle) {
            return false;
        }
        let node = &mut self.nodes[handle as usize];
        node.due_tick = due_ms.div_ceil(TICK_MS);
        if node.due_tick < node.wake_tick {
            self.unlink(handle);
            self.link(handle);
        }
        true
    }

    /// Ends the entry, armed or not. False if there is no such entry.
    pub fn remove(&mut self, handle: u32) -> bool {
        if !self.contains(handle) {
            return false;
        }
        self.unlink(handle);
        let node = &mut self.nodes[handle as usize];
        node.previous = FREE;
        node.next = self.free;
        self.free = handle;
        true
    }

    /// Whether the entry exists, armed or not.
    pub fn contains(&self, handle: u32) -> bool {
        let index = handle as usize;
        (FIRST_ENTRY..self.nodes.len()).contains(&index) && self.nodes[index].previous != FREE
    }

    /// Writes the handles that are due by `now_ms` to `due`, in no order, and disarms them; they
    /// stay valid. Returns how many. A full `due` means that there may be more: call again.
    pub fn advance(&mut self, now_ms: u64, due: &mut [u32]) -> usize {
        let last_tick = now_ms / TICK_MS;
        let mut fired = 0;
        loop {
            if !self.drain_pending(due, &mut fired) || self.next_tick > last_tick {
                return fired;
            }
            if last_tick - self.next_tick < SLOTS as u64 {
                self.turn();
            } else {
                self.leap(last_tick);
            }
        }
    }

    /// Fires or moves all that is pending. False if `due` is full before that is done.
    fn drain_pending(&mut self, due: &mut [u32], fired: &mut usize) -> bool {
        loop {
            let index = self.nodes[PENDING as usize].next;
            if index == PENDING {
                return true;
            }
            if self.nodes[index as usize].due_tick >= self.next_tick {
                self.unlink(index);
                self.link(index);
                continue;
            }
            let Some(place) = due.get_mut(*fired) else {
                return false;
            };
            *place = index;
            *fired += 1;
            self.unlink(index);
        }
    }

    /// One tick: the slots that come up with it become pending.
    fn turn(&mut self) {
        let tick = self.next_tick;
        self.next_tick += 1;
        for level in 0..LEVELS {
            self.splice_to_pending(slot(level, tick));
            // A coarser wheel moves when the finer one has come round.
            if (tick >> (SLOT_BITS as usize * level)) % SLOTS as u64 != 0 {
                break;
            }
        }
    }

    /// After a stall (a stopped process, a sleeping machine) it is cheaper to look at every entry
    /// once than at every tick.
    fn leap(&mut self, last_tick: u64) {
        self.next_tick = last_tick + 1;
        for head in 0..PENDING {
            self.splice_to_pending(head);
        }
    }

    fn link(&mut self, index: u32) {
        let now = self.next_tick;
        let due = self.nodes[index as usize].due_tick;
        // Already due: the next tick. Beyond this turn of the coarsest wheel: when the next begins.
        let due = due.clamp(now, (now | TURN_MASK) + 1);
        let level = level(due, now);
        let head = slot(level, due);
        let shift = SLOT_BITS as usize * level;
        self.nodes[index as usize].wake_tick = due >> shift << shift;
        let last = self.nodes[head as usize].previous;
        self.join(last, index);
        self.join(index, head);
    }

    /// Takes an entry out of its list, if it is in one.
    fn unlink(&mut self, index: u32) {
        let node = &mut self.nodes[index as usize];
        let (previous, next) = (node.previous, node.next);
        node.wake_tick = DISARMED;
        self.join(previous, next);
        self.join(index, index);
    }

    fn splice_to_pending(&mut self, head: u32) {
        let Node {
            previous: last,
            next: first,
            ..
        } = self.nodes[head as usize];
        if first == head {
            return;
        }
        let tail = self.nodes[PENDING as usize].previous;
        self.join(tail, first);
        self.join(last, PENDING);
        self.join(head, head);
    }

    fn join(&mut self, left: u32, right: u32) {
        self.nodes[left as usize].next = right;
        self.nodes[right as usize].previous = left;
    }

    fn allocate(&mut self) -> u32 {
        if self.free == END {
            let index = self.nodes.len() as u32;
            self.nodes.push(Node::alone(index));
            return index;
        }
        let index = self.free;
        self.free = self.nodes[index as usize].next;
        self.nodes[index as usize] = Node::alone(index);
        index
    }
}

/// The finest wheel on which `due` and `now` lie in the same turn: that of their highest different
/// digit, in base 64.
fn level(due: u64, now: u64) -> usize {
    let different = (due ^ now) | 1;
    (different.ilog2() / SLOT_BITS).min(LEVELS as u32 - 1) as usize
}

/// List head of the slot of `tick` on wheel `level`.
fn slot(level: usize, tick: u64) -> u32 {
    let digit = (tick >> (SLOT_BITS as usize * level)) as usize % SLOTS;
    (level * SLOTS + digit) as u32
}

#[cfg(test)]
mod tests;
