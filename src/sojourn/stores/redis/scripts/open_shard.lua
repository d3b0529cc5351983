-- KEYS: the shard's head. ARGV: the store's id, the longest token (ms). Answers whose shard it is.
local head, longest = redis.call('GET', KEYS[1]), tonumber(ARGV[2])
if not head then
  redis.call('SET', KEYS[1], ARGV[1] .. struct.pack('>I6I7I7I7I7I7', longest, 0, 0, 0, 0, 0))
  return ARGV[1]
end
local before = struct.unpack('>I6', head, 9)
if string.sub(head, 1, 8) == ARGV[1] and before < longest then
  redis.call('SET', KEYS[1], ARGV[1] .. struct.pack('>I6', longest) .. string.sub(head, 15))
end
return string.sub(head, 1, 8)
