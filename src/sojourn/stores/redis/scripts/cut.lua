-- Begins to end everything of a subject. KEYS: head, index, cutoff, what is unfinished. ARGV: sid to
-- keep (empty: none), reason, event, audit records.
local keep, reason = ARGV[6], ARGV[7]
local before = redis.call('GET', KEYS[3])
local doomed, skipped, is_end = choose(keep, 0, nil)
if is_end == 0 then
  redis.call('EXISTS', KEYS[4])
end
local floor, old, kept = 0, 0, ''
if before then
  local at
  floor, old, at = struct.unpack('>I7I7', before)
  kept = string.sub(before, at)
end
local value = math.max(now, last + 1)  -- the id that `append` will give
if keep == '' then
  floor = value
elseif keep ~= kept then
  floor = old  -- else two who "sign out the others" at once would revive each other
end
append(ARGV[8], floor, 0)
redis.call('SET', KEYS[3], struct.pack('>I7I7', floor, value) .. keep, 'PX', digits(longest + MARGIN_MS))
note_from(9)
if is_end == 0 then
  -- Should whoever goes on with it die, a purge will.
  local unfinished = struct.pack('>I7I2', value, #keep) .. keep .. reason
  redis.call('HSET', KEYS[4], string.sub(KEYS[2], #base + 3), unfinished)
end
return finish(bury_all(doomed, reason), skipped, is_end)
