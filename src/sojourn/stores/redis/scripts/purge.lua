-- KEYS: head, feed. ARGV: from which id. Takes expired entries out of a bounded number; permanent ones
-- stay. Answers how many went, and from where to go on (empty: no more).
local page = redis.call('XRANGE', KEYS[2], ARGV[6], '+', 'COUNT', CHUNK)
local expired, go_on = {}, #page == CHUNK
local next_id = ''
for _, row in ipairs(page) do
  local _, _, expires, _, is_permanent = struct.unpack('>I7I7I6I7B', row[2][2])
  if is_permanent == 0 then
    if expires > now then
      go_on = false  -- what follows expires later
      break
    end
    expired[#expired + 1] = row[1]
  end
  next_id = row[1]
end
if #expired > 0 then
  redis.call('XDEL', KEYS[2], unpack(expired))
end
return finish(#expired, go_on and '(' .. next_id or '')
