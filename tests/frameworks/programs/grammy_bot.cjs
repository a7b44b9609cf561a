// A bot of grammY behind its own webhook callback, which says what its handlers see.
//
//     grammy_bot.cjs TOKEN SECRET API

const http = require("node:http");
const { Bot, webhookCallback } = require("grammy");

const [token, secret, api] = process.argv.slice(2);
const say = (line) => console.log(JSON.stringify(line));
const saw = (ctx, what) => say({ update_id: ctx.update.update_id, saw: what });

// one that can't be called in the answer is called at the server
const bot = new Bot(token, { client: { apiRoot: api, canUseWebhookReply: () => true } });
bot.on("message:text", async (ctx) => {
  saw(ctx, `message: ${ctx.message.text}`);
  if (ctx.message.text === "answer me") await ctx.reply("here you are");
  if (ctx.message.text === "leave me") await ctx.leaveChat();
});
bot.on("edited_message:text", (ctx) => saw(ctx, `edited_message: ${ctx.editedMessage.text}`));
bot.on("message:photo", (ctx) => {
  const largest = ctx.message.photo.at(-1);
  saw(ctx, `photo: ${largest.file_id} ${largest.width}x${largest.height}, ${ctx.message.caption}`);
});
bot.on("message:contact", (ctx) => {
  const contact = ctx.message.contact;
  saw(ctx, `contact: ${contact.first_name} ${contact.phone_number}`);
});
bot.on("callback_query:data", (ctx) => {
  const query = ctx.callbackQuery;
  saw(ctx, `callback_query: ${query.data} of ${query.message.reply_markup.inline_keyboard[0][0].text}`);
});

const handle = webhookCallback(bot, "http", { secretToken: secret });
const server = http.createServer((request, response) => {
  if (request.url === "/webhooks/telegram") return handle(request, response);
  response.writeHead(404).end();
});
server.listen(0, "127.0.0.1", () => say({ port: server.address().port }));
