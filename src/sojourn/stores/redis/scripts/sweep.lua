-- Goes on with ending a subject's sessions from before a cutoff. KEYS: head, index, what is unfinished.
-- ARGV: sid to keep, reason, the cutoff, from which place in the index, how many this walk has found.
-- It is done when one script has seen the whole index, or a walk through it has found nothing.
local cutoff, offset, found = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
local doomed, skipped, is_end = choose(ARGV[6], offset, cutoff)
local subject = string.sub(KEYS[2], #base + 3)
local unfinished = redis.call('HGET', KEYS[3], subject)
found = found + #doomed
local ended = bury_all(doomed, ARGV[7])
local is_done = is_end == 1 and (offset == 0 or found == 0)
if is_done and unfinished and struct.unpack('>I7', unfinished) == cutoff then
  redis.call('HDEL', KEYS[3], subject)
end
return finish(ended, found, skipped, is_end, is_done and 1 or 0)
