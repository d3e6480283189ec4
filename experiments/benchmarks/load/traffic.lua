-- The traffic of a shop for the load generator wrk: arguments are the key, what to send and milliseconds between requests.
-- "decide": each request a new event. "all": a decision, its exposure and its reward in turn. "nothing": no work at all.
local threads = 0
function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end

function init(args)
  key, what, pause = args[1], args[2], tonumber(args[3])
  math.randomseed(os.time() + number)
  count, run = 0, tostring(os.time()) .. "-" .. number
  wrk.method = "POST"
  wrk.headers["Authorization"] = "Bearer " .. key
  wrk.headers["Content-Type"] = "application/json"
end

function delay()
  return pause * 2 * math.random() -- on average `pause`: connections do not march in step
end

function request()
  local kind = "decide"
  if what == "all" then
    kind = ({ "decide", "expose", "reward" })[count % 3 + 1]
    count = count + 1
  else
    kind = what
    count = count + 3
  end
  local event = run .. "-" .. math.floor((count - 1) / 3)
  local body
  if kind == "expose" then
    body = string.format('{"event_id":"%s"}', event)
  elseif kind == "reward" then
    body = string.format('{"event_id":"%s","reward_id":"click","value":1,"kind":"click"}', event)
  else
    body = string.format(
      '{"event_id":"%s","slot":"demo","unit_id":"u%d","context":{"device":"mobile"},"product_id":"","defer":false}',
      event, count % 5000)
  end
  return wrk.format(nil, kind == "nothing" and "/nothing" or "/v1/" .. kind, nil, body)
end

function done(summary, latency, requests)
  io.write(string.format(
    '{"requests": %d, "seconds": %f, "errors": %d, "refused": %d, "p50": %f, "p95": %f, "p99": %f, "most": %f}\n',
    summary.requests, summary.duration / 1e6,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout,
    summary.errors.status, latency:percentile(50) / 1000, latency:percentile(95) / 1000,
    latency:percentile(99) / 1000, latency.max / 1000))
end
