"""What the budgets run on the server: each script is one transition of one or more accounts, by the server's clock."""

from typing import Final

# `period(scope, day)`: a period's name, and the day after its last (days since 1970-01-01, UTC); a run has neither.
# The calendar is Howard Hinnant's `civil_from_days` ("chrono-Compatible Low-Level Date Algorithms",
# https://howardhinnant.github.io/date_algorithms.html), as Redis gives scripts no dates.
PERIOD: Final = """
local function civil(day)
  local floor, z = math.floor, day + 719468
  local era = floor(z / 146097)
  local doe = z - era * 146097
  local yoe = floor((doe - floor(doe / 1460) + floor(doe / 36524) - floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + floor(yoe / 4) - floor(yoe / 100))
  local mp = floor((5 * doy + 2) / 153)
  local m = mp < 10 and mp + 3 or mp - 9
  return yoe + era * 400 + (m <= 2 and 1 or 0), m, doy - floor((153 * mp + 2) / 5) + 1
end
local function period(scope, day)
  if scope == 'run' then return '' end
  local y, m, d = civil(day)
  if scope == 'day' then return string.format('%04d-%02d-%02d', y, m, d), day + 1 end
  local later = day - d + 32  -- 31 days after the first: in the next month, whatever the length of this one
  local _, _, beyond = civil(later)
  return string.format('%04d-%02d', y, m), later - beyond + 1
end
"""

# KEYS, three for each account: the account, its reservations (`<amount> <attempt>` by holder), their deadlines.
# ARGV: scope and limit of each account ('' is none), then the script's own. The account's fields: `period`, `spent`,
# `unclear`, `reserved` (the sum of its reservations), `raised`, `warned` (the holder whose call crossed the bar), and
# `raise:<request>` for each raise. All but `reserved` belong to the period and go with it.
#
# Amounts are whole nano-dollars. Lua counts in doubles, exact to 2^53, which is 9 million USD; limits and single
# amounts end at one million. An unlimited account beyond nine is off by a nano-dollar a call.
_COMMON: Final = (
    PERIOD
    + """
local t = redis.call('TIME')
local now, DAY = t[1] * 1000000 + t[2], 86400000000
local N = #KEYS / 3
local function arg(n) return ARGV[2 * N + n] end
local function amount(it) return tonumber(string.match(it or '0', '^%d+')) end
local function taken(a) return a.spent + a.unclear + a.reserved end
local function nearly_spent(a)
  if not a.limit then return false end
  local all, used = a.limit + a.raised, a.spent + a.unclear
  return used > 0 and 10 * (all - used) <= all  -- 90 %, without a fraction
end
-- An account as it stands: in the period of the clock, and what is past its deadline unclear. Changes nothing. A clock
-- that was put back finds the next period begun already: that one goes on, or its money would be spent twice.
local function account(i)
  local a = {own = KEYS[3 * i - 2], held = KEYS[3 * i - 1], deadlines = KEYS[3 * i]}
  a.scope, a.limit = ARGV[2 * i - 1], tonumber(ARGV[2 * i])
  local f = redis.call('HMGET', a.own, 'period', 'reserved', 'spent', 'unclear', 'raised', 'warned')
  a.period, a.ends = period(a.scope, math.floor(now / DAY))
  if a.ends then
    local following, ends = period(a.scope, a.ends)
    if f[1] == following then a.period, a.ends = following, ends end
  end
  a.reserved, a.over = tonumber(f[2] or 0), f[1] ~= a.period
  if a.over then f = {} end
  a.spent, a.unclear, a.raised = tonumber(f[3] or 0), tonumber(f[4] or 0), tonumber(f[5] or 0)
  a.warned = f[6] or ''
  -- No more than a few at a time: the rest is still reserved, which counts the same.
  a.due = redis.call('ZRANGEBYSCORE', a.deadlines, '-inf', now, 'LIMIT', 0, 100)
  local lost = #a.due > 0 and redis.call('HMGET', a.held, unpack(a.due)) or {}
  for _, it in ipairs(lost) do
    a.reserved, a.unclear = a.reserved - amount(it), a.unclear + amount(it)
  end
  return a
end
local function open(i)
  local a = account(i)
  if a.over then redis.call('DEL', a.own) end
  if #a.due > 0 then
    redis.call('HDEL', a.held, unpack(a.due))
    redis.call('ZREM', a.deadlines, unpack(a.due))
  end
  return a
end
local function let_go(a, holder)
  local n = amount(redis.call('HGET', a.held, holder))
  redis.call('HDEL', a.held, holder)
  redis.call('ZREM', a.deadlines, holder)
  a.reserved = a.reserved - n
  return n
end
local function close(a)
  local fields = {'period', a.period, 'warned', a.warned}
  for _, name in ipairs({'reserved', 'spent', 'unclear', 'raised'}) do
    fields[#fields + 1] = name
    fields[#fields + 1] = string.format('%.0f', a[name])
  end
  redis.call('HSET', a.own, unpack(fields))
  for _, key in ipairs({a.own, a.held, a.deadlines}) do
    redis.call('EXPIRE', key, (a.scope == 'run' and 30 or 40) * 86400)
  end
end
"""
)

# Another attempt of the holder's died in mid-call, which is true whether or not this one may go.
RESERVE: Final = (
    _COMMON
    + """
local holder, wanted, attempt, lifetime = arg(1), tonumber(arg(2)), arg(3), tonumber(arg(4))
local accounts, refusing, longest = {}, nil, -1
for i = 1, N do
  local a = open(i)
  local mine = redis.call('HGET', a.held, holder)
  a.again = mine and string.match(mine, ' (.*)$') == attempt
  if mine and not a.again then a.unclear = a.unclear + let_go(a, holder) end
  if not a.again and wanted > 0 and a.limit and taken(a) + wanted > a.limit + a.raised then
    local wait = a.ends and a.ends * DAY - now or math.huge
    if wait > longest then refusing, longest = i, wait end
  end
  accounts[i] = a
end
for _, a in ipairs(accounts) do
  if not refusing and not a.again then
    a.reserved = a.reserved + wanted
    redis.call('HSET', a.held, holder, arg(2) .. ' ' .. attempt)
    redis.call('ZADD', a.deadlines, now + lifetime, holder)
  end
  close(a)
end
if not refusing then return {} end
local a = accounts[refusing]
return {refusing, a.limit + a.raised, taken(a), a.ends and longest or -1}
"""
)

# A reservation ends in `spent`, in `unclear`, or in '' (given back); the amount '' is all that was reserved. Whoever
# crossed the bar is told so again when the call is repeated, because the first reply may have been lost.
FINISH: Final = (
    _COMMON
    + """
local holder, into, cost = arg(1), arg(2), tonumber(arg(3))
local told = {}
for i = 1, N do
  local a = open(i)
  if redis.call('HEXISTS', a.held, holder) == 1 then
    local n = let_go(a, holder)
    if into ~= '' then a[into] = a[into] + (cost or n) end
    if a.warned == '' and nearly_spent(a) then
      a.warned = holder
      told[#told + 1] = i
    end
  elseif a.warned == holder then
    told[#told + 1] = i
  end
  close(a)
end
return told
"""
)

RAISE: Final = (
    _COMMON
    + """
local a, request = open(1), 'raise:' .. arg(1)
if redis.call('HSETNX', a.own, request, arg(2)) == 1 then
  a.raised = a.raised + arg(2)
  if a.limit and not nearly_spent(a) then a.warned = '' end
end
close(a)
"""
)

BALANCE: Final = (
    _COMMON
    + """
local a = account(1)
return {a.raised, a.spent, a.reserved, a.unclear, a.period, a.ends or -1}
"""
)
