"""A bot of aiogram behind its own request handler, which says what its handlers see.

    aiogram_bot.py TOKEN SECRET API
"""

import asyncio
import json
import sys

from aiogram import Bot, Dispatcher, F
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.methods import SendMessage
from aiogram.webhook.aiohttp_server import SimpleRequestHandler, setup_application
from aiohttp import web

token, secret, api = sys.argv[1:]
dispatcher = Dispatcher()


def say(line):
    print(json.dumps(line), flush=True)


def saw(update, what):
    say({"update_id": update.update_id, "saw": what})


@dispatcher.message(F.text)
async def text(message, event_update):
    saw(event_update, f"message: {message.text}")
    if message.text == "answer me":
        return SendMessage(chat_id=message.chat.id, text="here you are")


@dispatcher.edited_message(F.text)
async def edited(message, event_update):
    saw(event_update, f"edited_message: {message.text}")


@dispatcher.message(F.photo)
async def photo(message, event_update):
    largest = message.photo[-1]
    saw(event_update, f"photo: {largest.file_id} {largest.width}x{largest.height}, {message.caption}")


@dispatcher.message(F.contact)
async def contact(message, event_update):
    saw(event_update, f"contact: {message.contact.first_name} {message.contact.phone_number}")


@dispatcher.callback_query()
async def button(query, event_update):
    pressed = query.message.reply_markup.inline_keyboard[0][0]
    saw(event_update, f"callback_query: {query.data} of {pressed.text}")


async def main():
    bot = Bot(token, session=AiohttpSession(api=TelegramAPIServer.from_base(api)))
    await bot.me()
    application = web.Application()
    # it answers once the update is handled
    handler = SimpleRequestHandler(dispatcher, bot, handle_in_background=False, secret_token=secret)
    handler.register(application, path="/webhooks/telegram")
    setup_application(application, dispatcher, bot=bot)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    say({"port": runner.addresses[0][1]})
    await asyncio.Event().wait()


asyncio.run(main())
