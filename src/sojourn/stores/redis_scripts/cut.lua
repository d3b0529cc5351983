-- Begins to end everything of a subject. KEYS: head, index, cutoff. ARGV: sid to keep (empty: none),
-- reason, event, audit records.
local keep = ARGV[6]
local before = redis.call('GET', KEYS[3])
local doomed, skipped, is_end = choose(keep, 0, nil)
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
return finish(bury_all(doomed, ARGV[7]), #doomed, skipped, is_end)
