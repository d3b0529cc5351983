-- Goes on with ending a subject's sessions from before a cutoff. KEYS: head, index. ARGV: sid to keep,
-- reason, from which place in the index, the cutoff.
local doomed, skipped, is_end = choose(ARGV[6], tonumber(ARGV[8]), tonumber(ARGV[9]))
return finish(bury_all(doomed, ARGV[7]), #doomed, skipped, is_end)
