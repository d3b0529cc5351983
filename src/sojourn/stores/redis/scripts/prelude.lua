-- Begins every script on a shard. KEYS[1] is the shard's head; ARGV begins with the store's id, the
-- time (empty: the server's), whether the attempt must write something, a seed for tags and the
-- channel that wakes readers. A script looks at everything before it writes anything, since in a
-- slot that is being moved a look may fail.
local store, now, is_fenced, seed, channel = ARGV[1], tonumber(ARGV[2]), ARGV[3] == '1', ARGV[4], ARGV[5]
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local base = string.sub(KEYS[1], 1, -2)
local head = redis.call('GET', KEYS[1])
if not head or string.sub(head, 1, 8) ~= store then
  return redis.error_reply('SOJOURNLOST')
end
local longest, last, tag, beat, fence, noted = struct.unpack('>I6I7I7I7I7I7', head, 9)
local entries, is_changed = {}, is_fenced
-- Scripts that append or read have the feed as their last key. One that is gone (deleted or evicted; a
-- purge leaves it, be it empty) must not begin anew: who reads it would take it for all that is revoked.
if last > 0 and KEYS[#KEYS] == base .. 'f' and redis.call('EXISTS', KEYS[#KEYS]) == 0 then
  return redis.error_reply('SOJOURNFEED')
end

local function digits(number)
  return string.format('%.0f', number)
end

local function save()
  redis.call('SET', KEYS[1], store .. struct.pack('>I6I7I7I7I7I7', longest, last, tag, beat, fence, noted))
end

-- Ids are the store's milliseconds or one more than the last; the tag is random by the seed.
local function append(event, floor, is_permanent)
  local previous = tag
  last = math.max(now, last + 1)
  tag = tonumber(string.sub(redis.sha1hex(seed .. #entries), 1, 13), 16)
  local entry = struct.pack('>I7I7I6I7B', tag, previous, now + longest + MARGIN_MS, floor, is_permanent) .. event
  redis.call('XADD', base .. 'f', digits(last) .. '-0', 'e', entry)
  entries[#entries + 1] = {last, entry}
  is_changed = true
end

local function note(record)
  noted = math.max(now, noted + 1)
  redis.call('XADD', base .. 'a', digits(noted) .. '-0', 'r', record)
  is_changed = true
end

local function note_from(first)
  for i = first, #ARGV do
    note(ARGV[i])
  end
end

-- The fence makes an attempt that changes nothing else a write, which WAIT then has to wait for.
-- A wake-up is never truth, so it may be forbidden to this user.
local function finish(...)
  if is_changed then
    fence = fence + 1
    save()
  end
  if #entries > 0 then
    redis.pcall('PUBLISH', channel, base)
  end
  return {now, entries, ...}
end

-- Sessions: see redis_records.py for the bytes.
local function is_session(record)
  return record and string.byte(record) == 83
end

local function read_session(record)
  local _, revision, dies, position, _, length = struct.unpack('>BI4I6I7I6I2', record)
  return revision, dies, position, string.sub(record, 27, 26 + length)
end

local function life(dies)
  return digits(math.max(dies + LINGER_MS - now, 1))
end

local function index(subject, member, dies)
  local key = base .. 'u:' .. subject
  redis.call('ZADD', key, digits(dies), member)
  local lives = life(dies)
  if redis.call('PTTL', key) < tonumber(lives) then
    redis.call('PEXPIRE', key, lives)
  end
end

-- Looks at everything that `bury` will touch.
local function find(sid)
  redis.call('EXISTS', base .. 'd:' .. sid)
  return redis.call('GET', base .. 's:' .. sid)
end

-- Puts a tombstone in the place of a session; tells whether it was alive.
local function bury(sid, record, reason)
  local _, dies, _, subject = read_session(record)
  local key = base .. 's:' .. sid
  if subject == '' then
    redis.call('DEL', key)  -- a guest has nobody to be told why
  else
    local core_at = 27 + #subject
    local core_end = core_at + 1 + struct.unpack('>I2', record, core_at)
    local tombstone = struct.pack('>BI6I2', 84, now, #reason) .. reason .. string.sub(record, 19, core_end)
    redis.call('SET', key, tombstone, 'PX', TOMBSTONE_MS)
  end
  redis.call('DEL', base .. 'd:' .. sid)
  redis.call('ZREM', base .. 'u:' .. subject, string.sub(record, 19, 24) .. sid)
  return now < dies
end
