// A CRM that checks what it gets with the JavaScript library of Standard Webhooks, and says under which of the keys it is genuine.
//
//     standard_webhooks.cjs KEY...

const http = require("node:http");
const { Webhook, WebhookVerificationError } = require("standardwebhooks");

const keys = process.argv.slice(2);
const say = (line) => console.log(JSON.stringify(line));

function accepts(key, body, headers) {
  try {
    new Webhook(key).verify(body, headers);
    return true;
  } catch (error) {
    if (error instanceof WebhookVerificationError) return false;
    throw error;
  }
}

const server = http.createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks).toString("utf8");
  const changed = body.replace("hello", "hallo");
  say({
    id: request.headers["webhook-id"],
    genuine: keys.map((key) => accepts(key, body, request.headers)),
    changed: keys.map((key) => accepts(key, changed, request.headers)),
  });
  response.writeHead(204).end();
});
server.listen(0, "127.0.0.1", () => say({ port: server.address().port }));
