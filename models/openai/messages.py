"""Messages as the API wants them: text alone as a string, with pictures as a list of parts, the pictures first."""

from collections.abc import Iterable

from surefoot.models.base import Message


def chat_messages(messages: Iterable[Message]) -> list[dict[str, object]]:
    """Return a conversation's messages."""
    return [chat_message(message) for message in messages]


def chat_message(message: Message) -> dict[str, object]:
    """Return one message."""
    if not message.pictures:
        return {"role": message.role, "content": message.content}
    parts: list[dict[str, object]] = [
        {"type": "image_url", "image_url": {"url": picture.url}} for picture in message.pictures
    ]
    if message.content:
        parts.append({"type": "text", "text": message.content})
    return {"role": message.role, "content": parts}
