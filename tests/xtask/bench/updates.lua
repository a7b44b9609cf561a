-- wrk's requests: updates of about 900 bytes as Telegram sends them, each with an id of its own, in 997 chats of two kinds.
-- Arguments: the first update's id (10 digits), and the token. At the end it prints one line of JSON.
local CHATS = 997
local SENDER = '{"id":%d,"is_bot":false,"first_name":"Aleksandra","last_name":"Kowalska-Nowak","username":"aleksandra_kowalska","language_code":"pl"}'
local PRIVATE = '{"id":%d,"first_name":"Aleksandra","last_name":"Kowalska-Nowak","username":"aleksandra_kowalska","type":"private"}'
local GROUP = '{"id":-%d,"title":"Customers of the northern region","is_forum":true,"type":"supergroup"}'
local TEXT = "Good morning, my order from Tuesday still has not arrived, and the tracking page has been saying \\u201cin delivery\\u201d since yesterday. "
	.. "Could you please look into it? The parcel was to be handed over to a neighbour or left at the pick-up point next to the station. "
	.. "I have written to the shop as well but nobody answers there. Thank you very much in advance, and have a nice day. /status"

local next_id
local heads, tails = {}, {}

-- everything but the id is made before the clock starts: wrk shares its processor with the CRM
function init(arguments)
	next_id = tonumber(arguments[1])
	wrk.method = "POST"
	wrk.headers["Host"] = "hooks.example.com"
	wrk.headers["Content-Type"] = "application/json"
	wrk.headers["Connection"] = "keep-alive"
	wrk.headers["Accept-Encoding"] = "gzip, deflate"
	wrk.headers["X-Telegram-Bot-Api-Secret-Token"] = arguments[2]
	for chat = 0, CHATS - 1 do
		local sender = 1000000000 + chat
		local place = chat % 2 == 0 and PRIVATE:format(sender) or GROUP:format(1001000000000 + chat)
		local thread = chat % 2 == 0 and "" or '"message_thread_id":4711,"is_topic_message":true,'
		local tail = ',"message":{"message_id":1234567,' .. thread .. '"from":' .. SENDER:format(sender) .. ',"chat":' .. place
			.. ',"date":1767225600,"text":"' .. TEXT
			.. '","entities":[{"offset":368,"length":7,"type":"bot_command"}]}}'
		local whole = wrk.format(nil, nil, nil, '{"update_id":0000000000' .. tail)
		heads[chat] = whole:sub(1, #whole - #tail - #"0000000000")
		tails[chat] = tail
	end
end

function request()
	local id = next_id
	next_id = id + 1
	local chat = id % CHATS
	return heads[chat] .. id .. tails[chat]
end

function done(summary, latency)
	local errors = summary.errors
	print(('{"requests":%d,"duration_us":%d,"failed":%d,"refused":%d,"p50_us":%d,"p99_us":%d}'):format(
		summary.requests, summary.duration, errors.connect + errors.read + errors.write + errors.timeout, errors.status,
		latency:percentile(50), latency:percentile(99)))
end
