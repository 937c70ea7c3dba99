-- Decides about the requests of one worker that wait, in their order; each all or nothing.
--
-- KEYS: one for each question.
-- ARGV: a text that no other call has, the number of requests, and for each request the number of
--   its questions, and for each question: kind, limit, period (ms), burst, weight, mode.
--   Mode: 0 counts, 1 enforces, 2 takes whether it fits or not, and gives back a weight below 0. To
--   give back to a log, `burst` is the name of what it holds: the text, and the question's number.
-- Returns for each question: allowed (of a lease: the tokens that it gets), what remains, ms until
--   all of it is there again, ms until the same question may be allowed.
--
-- Time is Redis' own: hosts need not agree about it. A tick is 1/16 us, counted from 1.7e9 s of Unix
-- time: whole numbers, exact in a double until 2041.
local TICKS_PER_MS = 16000
local EPOCH_S = 1700000000
local EXACT_WINDOW = 1000 -- a sorted set of more members costs more than it is worth

local clock = redis.call('TIME')
local now = ((clock[1] - EPOCH_S) * 1000000 + clock[2]) * 16

local function ms(ticks)
  return math.ceil(ticks / TICKS_PER_MS)
end

-- Each kind: `look` returns a state with `remaining`, `reset`, `retry`, `fits`; `take` stores it.
local bucket = {}

function bucket.look(key, ask)
  local interval = math.max(1, math.ceil(ask.period / ask.limit))
  local tolerance = interval * ask.burst
  -- Never fuller than by a debt: the clock of a node that takes over may be behind.
  local full_at = math.max(now, tonumber(redis.call('GET', key) or now))
  full_at = math.min(full_at, now + 2 * tolerance)
  local used = full_at - now
  local after = used + ask.weight * interval
  local state = { full_at = full_at, interval = interval, fits = after <= tolerance }
  state.remaining = math.floor((tolerance - used) / interval)
  state.retry = ask.weight > ask.burst and used or after - tolerance
  state.reset = used
  return state
end

-- A debt is at most another burst: who has it must be able to come back.
function bucket.take(key, ask, state)
  local full_at = state.full_at + ask.weight * state.interval
  full_at = math.min(full_at, now + 2 * state.interval * ask.burst)
  if full_at <= now then
    redis.call('DEL', key)
    state.remaining, state.reset = ask.burst, 0
    return
  end
  redis.call('SET', key, string.format('%.0f', full_at), 'PX', ms(full_at - now) + 1)
  state.remaining = math.floor((state.interval * ask.burst - full_at + now) / state.interval)
  state.reset = full_at - now
end

local log = {}

function log.look(key, ask)
  redis.call('ZREMRANGEBYSCORE', key, '-inf', string.format('%.0f', now - ask.period))
  local count = redis.call('ZCARD', key)
  local state = { fits = count + ask.weight <= ask.limit, remaining = ask.limit - count, reset = 0, retry = 0 }
  if count > 0 then
    local last = redis.call('ZRANGE', key, -1, -1, 'WITHSCORES')
    state.reset = last[2] + ask.period - now
    local needed = math.min(count, count + ask.weight - ask.limit)
    if needed > 0 then
      local leaves = redis.call('ZRANGE', key, needed - 1, needed - 1, 'WITHSCORES')
      state.retry = leaves[2] + ask.period - now
    end
  end
  return state
end

function log.take(key, ask, state, name)
  for part = 1, -ask.weight do
    redis.call('ZREM', key, ask.given .. ':' .. part)
  end
  for part = 1, math.min(ask.weight, ask.limit + state.remaining) do
    redis.call('ZADD', key, string.format('%.0f', now), name .. ':' .. part)
  end
  redis.call('PEXPIRE', key, ms(ask.period))
  state.remaining = state.remaining - ask.weight
  state.reset = ask.period
end

-- A window that begins with its first request; `sliding` weighs the window before by its overlap.
local function counter(sliding)
  local kind = {}

  function kind.look(key, ask)
    local found = redis.call('HMGET', key, 'start', 'before', 'count')
    local start, before, count = tonumber(found[1]), tonumber(found[2]) or 0, tonumber(found[3]) or 0
    local age = start and now - start or 0
    if not start or age >= (sliding and 2 or 1) * ask.period then
      start, before, count, age = now, 0, 0, 0
    elseif age >= ask.period then
      start, before, count, age = start + ask.period, count, 0, age - ask.period
    end
    local weighed = sliding and math.ceil(before * (ask.period - age) / ask.period) or 0
    local state = { start = start, before = before, count = count, rest = ask.period - age }
    state.remaining = ask.limit - weighed - count
    state.fits = ask.weight <= state.remaining
    state.reset = state.rest + (sliding and count > 0 and ask.period or 0)
    state.retry = state.rest
    if sliding and not state.fits and count + ask.weight <= ask.limit then
      local room = (ask.limit - count - ask.weight) / before
      state.retry = math.max(1, ask.period * (1 - room) - age)
    end
    return state
  end

  function kind.take(key, ask, state)
    local count = math.max(0, math.min(state.count + ask.weight, 2 * ask.limit))
    redis.call('HSET', key, 'start', string.format('%.0f', state.start), 'before', state.before,
      'count', count)
    redis.call('PEXPIRE', key, ms((sliding and 2 or 1) * ask.period))
    state.remaining = state.remaining - ask.weight
    state.reset = state.rest + (sliding and ask.period or 0)
  end

  return kind
end

local kinds = { token_bucket = bucket, fixed_window = counter(false), lease = bucket }
local weighed = counter(true)

local function kind_of(ask)
  if ask.kind == 'sliding_window' then
    return ask.limit <= EXACT_WINDOW and log or weighed
  end
  return kinds[ask.kind]
end

-- What stands in a key and is none of ours must not fail the questions of all others.
local function look(ask)
  local kind = kind_of(ask)
  local ok, state = pcall(kind.look, ask.key, ask)
  if ok then
    return state
  end
  redis.call('DEL', ask.key)
  return kind.look(ask.key, ask)
end

local place, number = 3, 0

local function next_question()
  local ask = {
    kind = ARGV[place], limit = tonumber(ARGV[place + 1]), period = ARGV[place + 2] * TICKS_PER_MS,
    burst = tonumber(ARGV[place + 3]), weight = tonumber(ARGV[place + 4]),
    given = ARGV[place + 3], enforced = ARGV[place + 5] == '1', always = ARGV[place + 5] == '2',
  }
  place, number = place + 6, number + 1
  ask.key, ask.name = KEYS[number], ARGV[1] .. ':' .. number
  return ask
end

local answers = {}

local function answer(ask, state, allowed)
  answers[#answers + 1] = allowed
  answers[#answers + 1] = math.max(0, state.remaining)
  answers[#answers + 1] = ms(math.max(0, state.reset))
  answers[#answers + 1] = state.fits and 0 or ms(math.max(1, state.retry))
end

-- As many tokens as there are, up to what was asked for.
local function lease(ask)
  local one = { limit = ask.limit, period = ask.period, burst = ask.burst, weight = 1 }
  one.key, one.kind = ask.key, 'token_bucket'
  local state = look(one)
  local granted = math.min(ask.weight, math.max(0, state.remaining))
  if granted > 0 then
    one.weight = granted
    bucket.take(ask.key, one, state)
  end
  answer(ask, state, granted)
end

local function request(count)
  local asks, states, allowed = {}, {}, true
  for i = 1, count do
    local ask = next_question()
    if ask.kind == 'lease' then
      lease(ask)
    else
      local state = look(ask)
      asks[#asks + 1], states[#states + 1] = ask, state
      allowed = allowed and (state.fits or not ask.enforced)
    end
  end
  for i, ask in ipairs(asks) do
    local state = states[i]
    if allowed and (state.fits or ask.always) then
      kind_of(ask).take(ask.key, ask, state, ask.name)
    end
    answer(ask, state, state.fits and 1 or 0)
  end
end

for _ = 1, tonumber(ARGV[2]) do
  local count = tonumber(ARGV[place])
  place = place + 1
  request(count)
end
return answers
