-- KEYS: head, feed. ARGV: the first id, limit, after how many ms without an entry a heartbeat is due
-- (0: never). Answers the head's id and tag, the heartbeat, whether one was refused, the entries.
local every = tonumber(ARGV[8])
local page = redis.call('XRANGE', KEYS[2], ARGV[6], '+', 'COUNT', ARGV[7])
local newest, is_refused = math.max(last, beat), 0
if every > 0 and math.abs(now - newest) >= every then
  -- A primary that its replicas cannot hear refuses to write, and so never proves to be fresh.
  local before = beat
  beat = math.max(now, newest + 1)
  local written = redis.pcall('SET', KEYS[1], store .. struct.pack('>I6I7I7I7I7I7', longest, last, tag, beat, fence, noted))
  if written.err then
    beat, is_refused = before, 1
  end
end
return {last, tag, beat, is_refused, page}
