-- KEYS: head, index. Answers the index members of live sessions.
return finish(redis.call('ZRANGE', KEYS[2], '(' .. digits(now), '+inf', 'BYSCORE'))
