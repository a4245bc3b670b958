"""What the completion store runs on the server: each script is one transition, by the server's clock."""

from typing import Final

# Values are {"state": "reply", tenant, token, reply (base64), mac}, written and checked by the client alone, or
# {"state": "intent", token, holder, lease_until, resends}, written by the server. Only short values can be intents, so
# that it need not decode replies. No lease is longer than a day: no forged one either. `reject`: SHA-1 of a value that
# the client found to be no reply of ours, and that counts as absent.
_COMMON: Final = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local function count(n, most) return type(n) == 'number' and n >= 0 and n <= most and n % 1 == 0 end
local function entry(key, reject)
  local value = redis.pcall('GET', key)
  if type(value) == 'table' then value = '' end  -- not even a string
  if not value or (reject ~= '' and redis.sha1hex(value) == reject) then return nil end
  local ok, it = pcall(cjson.decode, #value <= 512 and value or '0')
  if ok and type(it) == 'table' and it.state == 'intent' and type(it.token) == 'string' and type(it.holder) == 'string'
    and count(it.lease_until, now + 86400000) and count(it.resends, 1000000) then return value, it end
  return value
end
local function hold(token, holder, lease, resends)
  local it = {state = 'intent', token = token, holder = holder, lease_until = now + lease, resends = resends}
  redis.call('SET', KEYS[1], cjson.encode(it), 'EX', 604800)  -- a week: longer than anybody tries again
end
"""
# An abandoned intent, kept for its count, has no token.
BEGIN: Final = (
    _COMMON
    + """
local reject, token, holder, lease = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local value, it = entry(KEYS[1], reject)
if value and not it then return {'reply', value} end
local resends, vanished = it and it.resends or 0, 0
if it and it.token ~= '' and it.token ~= token then
  if it.holder ~= holder and it.lease_until > now then return {'busy', it.lease_until - now} end
  resends, vanished = resends + 1, 1
end
hold(token, holder, lease, resends)
return {'granted', {resends, vanished}}
"""
)
RENEW: Final = (
    _COMMON
    + """
local _, it = entry(KEYS[1], '')
if not it or it.token ~= ARGV[1] then return 0 end
hold(it.token, it.holder, tonumber(ARGV[2]), it.resends)
return 1
"""
)
FINISH: Final = (
    _COMMON
    + """
local reject, reply, ttl = ARGV[1], ARGV[2], ARGV[3]
local value, it = entry(KEYS[1], reject)
if value == reply then return {'stored', 0} end
if value and not it then return {'reply', value} end
redis.call('SET', KEYS[1], reply, 'PX', ttl)
return {'stored', 0}
"""
)
ABANDON: Final = (
    _COMMON
    + """
local _, it = entry(KEYS[1], '')
if not it or it.token ~= ARGV[1] then return end
if it.resends > 0 then hold('', '', 0, it.resends) else redis.call('DEL', KEYS[1]) end
"""
)
CLEAR: Final = (
    _COMMON
    + """
local removed = 0
for _, key in ipairs(KEYS) do
  local size, _, it = redis.pcall('STRLEN', key)
  if type(size) == 'number' and size <= 512 then _, it = entry(key, '') end
  if not it then removed = removed + redis.call('UNLINK', key) end
end
return removed
"""
)
