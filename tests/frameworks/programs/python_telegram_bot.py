"""A bot of python-telegram-bot behind its own webhook server, which says what its handlers see.

    python_telegram_bot.py TOKEN SECRET API
"""

import json
import socket
import sys

from telegram import Update
from telegram.ext import Application, CallbackQueryHandler, ExtBot, MessageHandler, filters

token, secret, api = sys.argv[1:]


class Bot(ExtBot):
    """The webhook is the operator's: run_webhook would set it."""

    __slots__ = ()

    async def set_webhook(self, *_arguments, **_named):
        return True


def say(line):
    print(json.dumps(line), flush=True)


def saw(describe):
    async def handler(update, _context):
        say({"update_id": update.update_id, "saw": describe(update)})

    return handler


def photo(message):
    largest = message.photo[-1]
    return f"photo: {largest.file_id} {largest.width}x{largest.height}, {message.caption}"


def button(query):
    return f"callback_query: {query.data} of {query.message.reply_markup.inline_keyboard[0][0].text}"


application = Application.builder().bot(Bot(token, base_url=f"{api}/bot")).build()
new, edited = filters.UpdateType.MESSAGE, filters.UpdateType.EDITED_MESSAGE
for handler in [
    MessageHandler(new & filters.TEXT, saw(lambda update: f"message: {update.message.text}")),
    MessageHandler(edited, saw(lambda update: f"edited_message: {update.edited_message.text}")),
    MessageHandler(new & filters.PHOTO, saw(lambda update: photo(update.message))),
    MessageHandler(
        new & filters.CONTACT,
        saw(lambda update: "contact: {0.first_name} {0.phone_number}".format(update.message.contact)),
    ),
    CallbackQueryHandler(saw(lambda update: button(update.callback_query))),
]:
    application.add_handler(handler)

# it takes a socket that listens already, so that nobody has to guess a port that is free
listening = socket.create_server(("127.0.0.1", 0))
listening.setblocking(False)
say({"port": listening.getsockname()[1]})
application.run_webhook(
    unix=listening,
    url_path="webhooks/telegram",
    webhook_url="https://set.by.the.operator.example.com/",
    secret_token=secret,
    allowed_updates=Update.ALL_TYPES,
)
