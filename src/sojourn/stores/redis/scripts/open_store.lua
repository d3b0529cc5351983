-- KEYS: the store's record. ARGV: shards, a placement key for a new store, the longest token (ms).
-- Answers what the store is.
local stored = redis.call('GET', KEYS[1])
local shards, longest, key = tonumber(ARGV[1]), tonumber(ARGV[3]), ARGV[2]
if stored then
  local before
  shards, before = struct.unpack('>BI6', stored)
  longest, key = math.max(before, longest), string.sub(stored, 8)
  if before == longest then
    return {shards, key, longest}
  end
end
redis.call('SET', KEYS[1], struct.pack('>BI6', shards, longest) .. key)
return {shards, key, longest}
