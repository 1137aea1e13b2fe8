"""Mail to the dropbox alone that names nobody for certain, however much it looks like a forward."""

from collections.abc import Iterator

from tests.filing.clients import (
    BODY,
    OUTLOOK,
    OUTLOOK_FOR_MAC,
    SENDER,
    SUBJECT,
    WORDS,
    Header,
    Mail,
    block,
    header,
    quoted,
)

REPLY_PREFIXES = {
    "cs": "RE", "da": "SV", "de": "AW", "el": "ΑΠ", "en": "RE", "es": "RE", "et": "VS", "fi": "VS", "fr": "RE",
    "hr": "RE", "hu": "RE", "it": "R", "ja": "RE", "ko": "RE", "nl": "RE", "no": "SV", "pl": "ODP", "pt": "RE",
    "pt-br": "RES", "ro": "RE", "ru": "RE", "sk": "RE", "sv": "SV", "tr": "YNT", "uk": "RE", "zh": "答复",
    "zh-tw": "回覆",
}  # fmt: skip

ATTRIBUTIONS = {
    "cs": "st 28. 10. 2026 v 12:46 odesílatel Jane Doe <{address}> napsal:",
    "cs-tb": "Dne 28. 10. 26 v 12:46 Jane Doe napsal(a):",
    "da": "Den ons. 28. okt. 2026 kl. 12.46 skrev Jane Doe <{address}>:",
    "da-tb": "Den 28.10.2026 kl. 12.46 skrev Jane Doe:",
    "de": "Am Mi., 28. Okt. 2026 um 12:46 Uhr schrieb Jane Doe <{address}>:",
    "de-tb": "Am 28.10.26 um 12:46 schrieb Jane Doe:",
    "en": "On Wed, Oct 28, 2026 at 12:46 PM Jane Doe <{address}> wrote:",
    "en-tb": "On 28.10.26 12:46, Jane Doe wrote:",
    "en-apple": "On 28 Oct 2026, at 12:46, Jane Doe <{address}> wrote:",
    "es": "El mié, 28 oct 2026 a las 12:46, Jane Doe (<{address}>) escribió:",
    "et": "Kuupäev K, 28. oktoober 2026 kell 12:46 kirjutas Jane Doe <{address}>:",
    "fi": "ke 28. lokak. 2026 klo 12.46 Jane Doe ({address}) kirjoitti:",
    "fr": "Le mer. 28 oct. 2026 à 12:46, Jane Doe <{address}> a écrit :",
    "hr": "sri, 28. lis 2026. u 12:46 Jane Doe <{address}> napisao je:",
    "hu": "Jane Doe <{address}> ezt írta (időpont: 2026. okt. 28., Sze, 12:46):",
    "it": "Il giorno mer 28 ott 2026 alle ore 12:46 Jane Doe <{address}> ha scritto:",
    "ja": "2026年10月28日(水) 12:46 Jane Doe <{address}>:",
    "ko": "2026년 10월 28일 (수) 오후 12:46, Jane Doe <{address}>님이 작성:",
    "nl": "Op wo 28 okt 2026 om 12:46 schreef Jane Doe <{address}>:",
    "no": "ons. 28. okt. 2026 kl. 12:46 skrev Jane Doe <{address}>:",
    "pl": "śr., 28 paź 2026 o 12:46 Jane Doe <{address}> napisał(a):",
    "pt": "Jane Doe <{address}> escreveu (quarta, 28/10/2026 à(s) 12:46):",
    "pt-br": "Em qua., 28 de out. de 2026 às 12:46, Jane Doe <{address}> escreveu:",
    "ro": "mie., 28 oct. 2026 la 12:46, Jane Doe <{address}> a scris:",
    "ru": "ср, 28 окт. 2026 г. в 12:46, Jane Doe <{address}>:",
    "ru-tb": "28.10.2026 12:46, Jane Doe пишет:",
    "sk": "st 28. 10. 2026 o 12:46 Jane Doe <{address}> napísal(a):",
    "sv": "Den ons 28 okt. 2026 kl 12:46 skrev Jane Doe <{address}>:",
    "tr": "Jane Doe <{address}>, 28 Eki 2026 Çar, 12:46 tarihinde şunu yazdı:",
    "uk": "ср, 28 жовт. 2026 р. о 12:46 Jane Doe <{address}> пише:",
    "zh": "Jane Doe <{address}> 于2026年10月28日周三 12:46写道：",
    "zh-tw": "Jane Doe <{address}> 於 2026年10月28日 週三 下午12:46寫道：",
}

_GMAIL = Header("---------- Forwarded message ---------", "From:", "Date:", "To:", "Subject:")
_OUTLOOK = Header("", "From:", "Sent:", "To:", "Subject:")
_ANSWER = "Dear Jane,\n\nthe pumps are on their way.\n\nAnn\n\n"


def look_alikes() -> Iterator[Mail]:
    yield from _replies()
    yield from _unclear_senders()
    yield from _texts()


def _replies() -> Iterator[Mail]:
    for code, row in ATTRIBUTIONS.items():
        line = row.format(address=SENDER)
        yield Mail(f"reply-{code}", f"Re: {SUBJECT}", f"{_ANSWER}{line}\n\n{quoted(BODY)}")
        yield Mail(f"reply-{code}-marked-as-forward", f"Fwd: {SUBJECT}", f"{line}\n{quoted(BODY)}")
        forwarded = "\n".join([_GMAIL.separator, *block(_GMAIL, "FDST"), "", BODY])
        yield Mail(f"reply-{code}-of-a-forward", f"Fwd: {SUBJECT}", f"{_ANSWER}{line}\n\n{forwarded}")
    for code, row in OUTLOOK.items():
        text = "\n".join(block(Header("", *header(row)[1:]), "FDTCS")) + f"\n\n{BODY}"
        yield Mail(f"outlook-reply-{code}", f"{REPLY_PREFIXES[code]}: {SUBJECT}", _ANSWER + text)
        yield Mail(f"outlook-{code}-unmarked", SUBJECT, _ANSWER + text)
        web = f"{'_' * 32}\n{text}"
        yield Mail(f"outlook-web-reply-{code}", f"{REPLY_PREFIXES[code]}: Fwd: {SUBJECT}", _ANSWER + web)
    for code, row in OUTLOOK_FOR_MAC.items():
        text = "\n".join(block(Header("", *header(row)[1:]), "FDTCS")) + f"\n{BODY}"
        yield Mail(f"outlook-mac-reply-{code}", f"{REPLY_PREFIXES[code]}: {SUBJECT}", _ANSWER + text)
    english = "\n".join(block(_OUTLOOK, "FDTS")) + f"\n\n{BODY}"
    yield Mail("finnish-reply-on-the-web", f"VS: {SUBJECT}", _ANSWER + "_" * 32 + "\n" + english)
    yield Mail("counted-reply", f"Re[2]: {SUBJECT}", _ANSWER + english)
    yield Mail("reply-all-quoted", f"Re: {SUBJECT}", quoted(english))
    for separator in (
        "-----Original Message-----",
        "-----Ursprüngliche Nachricht-----",
        "-------- Message original --------",
    ):
        yield Mail(f"original-{separator}", f"Re: {SUBJECT}", f"{_ANSWER}{separator}\n{english}")
        yield Mail(f"original-{separator}-unmarked", SUBJECT, f"{_ANSWER}{separator}\n{english}")
    gmail = "\n".join([_GMAIL.separator, *block(_GMAIL, "FDST"), "", BODY])
    yield Mail("reply-with-a-forward-in-it", f"Re: Fwd: {SUBJECT}", _ANSWER + gmail)
    yield Mail("forward-within-quotes", f"Fwd: {SUBJECT}", f"{_ANSWER}> I got this:\n>\n{quoted(gmail)}")
    yield Mail("forward-quoted-twice", f"Fwd: {SUBJECT}", quoted(quoted(gmail)))
    wrapped = f"On Wednesday, 28 October 2026 at 12:46:10 Central European Time,\nJane Doe <{SENDER}>\nwrote:"
    yield Mail("wrapped-attribution", f"Fwd: {SUBJECT}", f"{_ANSWER}{wrapped}\n\n{quoted(BODY)}")


def _unclear_senders() -> Iterator[Mail]:
    for name, sender in {
        "two": f"Jane <{SENDER}>, Bob <bob@client.example>",
        "two-semicolon": f"Jane <{SENDER}>; Bob <bob@client.example>",
        "name-only": "Jane Doe",
        "quoted-name-only": '"Doe, Jane"',
        "nothing": "",
        "directory": "Jane Doe </o=Client/ou=Exchange/cn=Recipients/cn=jdoe>",
        "on-behalf": f"{SENDER} <mailto:{SENDER}> On Behalf Of Bob Brown",
        "on-behalf-address": f"Jane <{SENDER}> on behalf of Bob <bob@client.example>",
        "address-in-the-name": f'"bob@client.example" <{SENDER}>',
        "list": f"'Jane Doe' via Sales <{SENDER}>",
        "liste": f"Jane Doe über Vertrieb <{SENDER}>",
        "via": f"'bob@client.example' via Sales <{SENDER}>",
        "via-in-brackets": f"Jane Doe (via Documents) <{SENDER}>",
        "behalf-in-name": f"Jane Doe on behalf of Bob <{SENDER}>",
        "behalf-in-name-de": f"Jane Doe im Auftrag von Bob <{SENDER}>",
        "via-ja": f"Jane (Sales 経由) <{SENDER}>",
        "glued-name": f"Jane/{SENDER}",
        "glued-label": f"email={SENDER}",
        "glued-encoded-word": f"=?utf-8?q?Jane?={SENDER}",
        "glued-letters": f"珍妮{SENDER}",
        "wrapped-address": f"Jane jane.\n{SENDER.partition('.')[2]}",
        "empty-local-part": "Jane '@client.example",
        "link-elsewhere": f"Jane <{SENDER}<mailto:eve@elsewhere.example>>",
        "text-behind": f"Jane <{SENDER}> and others",
        "no-domain": "Jane <jane@client>",
        "broken": "Jane <jane.client.example>",
        "two-ats": "Jane <jane@@client.example>",
        "spaced": "Jane <jane @ client.example>",
        "stray-at": f"Jane @ Client <{SENDER}>",
        "phone": "Jane Doe [+49 30 123456]",
    }.items():
        for client, words, order in (("gmail", _GMAIL, "FDST"), ("outlook", _OUTLOOK, "FDTS")):
            lines = "\n".join(block(words, order, sender))
            yield Mail(f"{client}-{name}", f"Fwd: {SUBJECT}", f"{words.separator}\n{lines}\n\n{BODY}")
    first = block(_GMAIL, "F")[0]
    second = first.replace(SENDER, "bob@client.example")
    rest = "\n".join(block(_GMAIL, "DST"))
    yield Mail("two-from-lines", f"Fwd: {SUBJECT}", f"{_GMAIL.separator}\n{first}\n{second}\n{rest}\n\n{BODY}")
    yield Mail("two-from-lines-apart", f"Fwd: {SUBJECT}", f"{_GMAIL.separator}\n{first}\n{rest}\n{second}\n\n{BODY}")
    german = second.replace("From:", "Von:")
    yield Mail("two-from-lines-languages", f"FW: {SUBJECT}", f"{first}\n{german}\n{rest}\n\n{BODY}")
    for row in ("de", "fr", "ja", "ru", "tr", "zh"):
        prefix, *labels = header(OUTLOOK[row])
        lines = "\n".join(block(Header("", *labels), "FDTS", "Jane Doe"))
        yield Mail(f"name-only-{row}", f"{prefix}: {SUBJECT}", f"{lines}\n\n{BODY}")


def _texts() -> Iterator[Mail]:
    full = "\n".join(block(_OUTLOOK, "FDTS"))
    yield Mail("in-the-middle", f"FW: {SUBJECT}", f"Hi Bob,\nlook at these fields:\n{full}\nThey are odd.\n")
    yield Mail("in-the-middle-unmarked", "A question", f"Hi,\n\nI see these fields:\n\n{full}\n\nAre they right?\n")
    yield Mail("fields-above-another-block", f"FW: {SUBJECT}", _fields_above(full))
    yield Mail(
        "fields-above-gmail", f"Fwd: {SUBJECT}", _fields_above("\n".join([_GMAIL.separator, *block(_GMAIL, "FDST")]))
    )
    for name, outer in {
        "names": "Kutoka: Jane Doe\nImetumwa: 28 Oktoba 2026 12:46\nKwa: Ann",
        "addresses": f"Kutoka: Jane Doe <jane@elsewhere.example>\nKwa: {SENDER}",
        "bold": "*Kutoka:* Jane Doe\n*Kwa:* Ann",
    }.items():
        for subject in (f"FW: {SUBJECT}", f"Fwd: RE: {SUBJECT}"):
            text = f"{outer}\nMada: {SUBJECT}\n\nHi Ann\n\n{full}\n\n{BODY}"
            yield Mail(f"below-an-unknown-block-{name}-{subject[:5]}", subject, text)
    yield Mail("separator-only", f"Fwd: {SUBJECT}", f"{_GMAIL.separator}\n\n{BODY}")
    yield Mail("separator-and-words", f"Fwd: {SUBJECT}", f"{_GMAIL.separator}\n{WORDS}{full}\n")
    yield Mail("from-alone", f"Fwd: {SUBJECT}", f"{_GMAIL.separator}\nFrom: Jane Doe <{SENDER}>\n\n{BODY}")
    yield Mail("without-from", f"Fwd: {SUBJECT}", "\n".join([_GMAIL.separator, *block(_GMAIL, "DST"), "", BODY]))
    yield Mail("apple-without-block", f"Fwd: {SUBJECT}", f"Begin forwarded message:\n\n{quoted(BODY)}")
    yield Mail("marked-own-words", f"Fwd: {SUBJECT}", WORDS)
    yield Mail("marked-empty", f"Fwd: {SUBJECT}", "")
    yield Mail("note", "Call Jane", f"I called Jane ({SENDER}) today. From: now on she buys.\n")
    yield Mail("note-with-labels", "Plan", f"To: do\nFrom: Monday on\n\nSubject: pumps\n{SENDER}\n")
    yield Mail("signature-rule", "Plan", f"Words\n{'_' * 40}\nAnn Smith\nTel: 123\n")
    yield Mail(
        "labels-of-two-languages",
        f"FW: {SUBJECT}",
        f"Von: Jane Doe <{SENDER}>\nEnvoyé : 28/10/2026\nÄmne: {SUBJECT}\n\n{BODY}",
    )
    yield Mail("talk", SUBJECT, f"I will use '---------- Forwarded message' for mail of {SENDER}.\n")
    yield Mail("many-first-lines", f"FW: {SUBJECT}", "Subject: a\n\n" * 60 + full)
    yield Mail("long-sender", f"FW: {SUBJECT}", full.replace("Jane Doe", "J" * 5000))
    below = f"<br><b>Sent:</b> today<br><b>Subject:</b> {SUBJECT}"
    html = f"<p>Hi</p><blockquote><b>From:</b> Jane &lt;{SENDER}&gt;{below}</blockquote>"
    yield Mail("html-reply", f"Re: {SUBJECT}", html, is_html=True)
    link = f'<b>From:</b> <a href="mailto:eve@elsewhere.example">{SENDER}</a>{below}'
    yield Mail("html-link-elsewhere", f"FW: {SUBJECT}", f"<div>{link}</div>", is_html=True)
    attribution = f"<div>On Wed, Oct 28, 2026 at 12:46 PM Jane &lt;{SENDER}&gt; wrote:</div>"
    gmail = f"<div>{_ANSWER}</div>{attribution}<blockquote>{BODY}</blockquote>"
    yield Mail("html-gmail-reply", f"Fwd: {SUBJECT}", gmail, is_html=True)


def _fields_above(text: str) -> str:
    """Fields of another mail, which the owner quotes in the words above the block."""
    other = "From: Bob <bob@elsewhere.example>\nSent: yesterday\nSubject: Something else"
    return f"Compare this:\n\n{other}\n\nwith what she says:\n\n{text}\n\n{BODY}"
