"""Forwards as mail clients write them: each client's template with each language's own words.

The words stand here a second time, as they were seen in the clients, so that the worker's table is tested against them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import NamedTuple

SENDER = "jane.doe@client.example"
TO = "ann@sales.example"
CC = "Walter Sheltan <walter@client.example>, Nick <nick@other.example>"
SUBJECT = "Offer for 12 pumps"
WORDS = "Please file this.\n\nThanks, Ann\n-- \nAnn Smith\nSales\n\n"
BODY = "Dear Ann,\n\nwe take all of them.\n\nJane\n"


@dataclass(frozen=True)
class Mail:
    """A mail that the owner sends to the dropbox, as far as the reader sees it."""

    name: str
    subject: str
    text: str
    is_html: bool = False


class Header(NamedTuple):
    """A separator and the labels of From, Date, To, and Subject."""

    separator: str
    sender: str
    sent: str
    to: str
    subject: str


def header(row: str) -> Header:
    return Header(*(cell.strip() for cell in row.split("|")))


APPLE = {
    "cs": "Začátek přeposílané zprávy:|Od:|Datum:|Komu:|Předmět:",
    "da": "Start på videresendt besked:|Fra:|Dato:|Til:|Emne:",
    "de": "Anfang der weitergeleiteten Nachricht:|Von:|Datum:|An:|Betreff:",
    "de-2": "Anfang der weitergeleiteten E-Mail:|Von:|Datum:|An:|Betreff:",
    "en": "Begin forwarded message:|From:|Date:|To:|Subject:",
    "es": "Inicio del mensaje reenviado:|De:|Fecha:|Para:|Asunto:",
    "fi": "Välitetty viesti alkaa:|Lähettäjä:|Päivämäärä:|Vastaanottaja:|Aihe:",
    "fr": "Début du message réexpédié :|De:|Date:|À:|Objet:",
    "fr-2": "Début du message transféré\u00a0:|De\u00a0:|Date\u00a0:|À\u00a0:|Objet\u00a0:",
    "hr": "Započni proslijeđenu poruku:|Šalje:|Datum:|Prima:|Predmet:",
    "hu": "Továbbított levél kezdete:|Feladó:|Dátum:|Címzett:|Tárgy:",
    "it": "Inizio messaggio inoltrato:|Da:|Data:|A:|Oggetto:",
    "ja": "転送されたメッセージ：|差出人:|日付:|宛先:|件名:",
    "ko": "전달된 메시지:|보낸 사람:|날짜:|받는 사람:|제목:",
    "nl": "Begin doorgestuurd bericht:|Van:|Datum:|Aan:|Onderwerp:",
    "no": "Videresendt melding:|Fra:|Dato:|Til:|Emne:",
    "pl": "Początek przekazywanej wiadomości:|Od:|Data:|Do:|Temat:",
    "pt": "Início da mensagem reencaminhada:|De:|Data:|Para:|Assunto:",
    "pt-br": "Início da mensagem encaminhada:|De:|Data:|Para:|Assunto:",
    "ro": "Începe mesajul redirecționat:|Expeditorul:|Dată:|Destinatarul:|Subiectul:",
    "ru": "Начало переадресованного сообщения:|Отправитель:|Дата:|Кому:|Тема:",
    "sk": "Začiatok preposlanej správy:|Od:|Dátum:|Pre:|Predmet:",
    "sv": "Vidarebefordrat mejl:|Från:|Datum:|Till:|Ämne:",
    "tr": "İleti başlangıcı:|Kimden:|Tarih:|Kime:|Konu:",
    "uk": "Початок листа, що пересилається:|Від кого:|Дата:|Кому:|Тема:",
    "zh": "下面是被转发的邮件：|发件人:|日期:|收件人:|主题:",
    "zh-tw": "開始轉寄郵件：|寄件人:|日期:|收件人:|主旨:",
}

GMAIL = {
    "cs": "Od:", "da": "Fra:", "de": "Von:", "en": "From:", "es": "De:", "et": "Saatja:", "fi": "Lähettäjä:",
    "fr": "De :", "hr": "Šalje:", "hu": "Feladó:", "it": "Da:", "ja": "From:", "ko": "보낸사람:", "nl": "Van:",
    "no": "Fra:", "pl": "Od:", "pt": "De:", "pt-br": "De:", "ro": "De la:", "ru": "От:", "sk": "Od:", "sv": "Från:",
    "tr": "Gönderen:", "uk": "Від:", "zh": "发件人：",
    "zh-tw": "寄件者：", "el": "Από:", "bg": "От:", "he": "\u200fמאת:", "th": "จาก:", "hi": "प्रेषक:", "fa": "از:",
}  # fmt: skip

THUNDERBIRD = {
    "cs": "-------- Přeposlaná zpráva --------|Od:|Datum:|Komu:|Předmět:",
    "da": "-------- Videresendt meddelelse --------|From:|Date:|To:|Subject:",
    "de": "-------- Weitergeleitete Nachricht --------|Von:|Datum:|An:|Betreff:",
    "en": "-------- Forwarded Message --------|From:|Date:|To:|Subject:",
    "es": "-------- Mensaje reenviado --------|De:|Fecha:|Para:|Asunto:",
    "et": "-------- Edastatud kiri --------|Saatja:|Kuupäev:|Saaja:|Teema:",
    "fi": "-------- Välitetty viesti / Fwd.Msg --------|Lähettäjä:|Päiväys:|Vastaanottaja:|Aihe:",
    "fr": "-------- Message transféré --------|De :|Date :|Pour :|Sujet :",
    "hr": "-------- Proslijeđena poruka --------|Šalje:|Datum:|Prima:|Naslov:",
    "hu": "-------- Továbbított üzenet --------|Feladó:|Dátum:|Címzett:|Tárgy:",
    "it": "-------- Messaggio Inoltrato --------|Mittente:|Data:|A:|Oggetto:",
    "ja": "-------- Forwarded Message --------|差出人:|日付:|宛先:|件名:",
    "nl": "-------- Doorgestuurd bericht --------|Van:|Datum:|Aan:|Onderwerp:",
    "no": "-------- Videresendt melding --------|Fra:|Dato:|Til:|Emne:",
    "pl": "--- Treść przekazanej wiadomości ---|Nadawca:|Data:|Adresat:|Temat:",
    "pt": "-------- Mensagem reencaminhada --------|De:|Data:|Para:|Assunto:",
    "pt-br": "-------- Mensagem encaminhada --------|De:|Data:|Para:|Assunto:",
    "ro": "-------- Mesaj redirecționat --------|de la:|Dată:|Către:|Subiectul:",
    "ru": "-------- Перенаправленное сообщение --------|От:|Дата:|Кому:|Тема:",
    "sk": "-------- Preposlaná správa --- Forwarded Message --------|Od:|Dátum:|Pre:|Predmet:",
    "sv": "-------- Vidarebefordrat meddelande --------|Från:|Datum:|Till:|Ämne:",
    "tr": "-------- İletilen İleti --------|Kimden:|Tarih:|Kime:|Konu:",
    "uk": "-------- Переслане повідомлення --------|Від:|Дата:|Кому:|Тема:",
    "zh": "-------- 转发的消息 --------|发件人:|日期:|收件人:|主题:",
    "zh-tw": "-------- 轉寄郵件 --------|寄件者:|日期:|收件者:|主旨:",
}

YAHOO = {
    "cs": "----- Přeposlaná zpráva -----|Od:|Datum:|Komu:|Předmět:",
    "da": "----- Videresendt meddelelse -----|Fra:|Sendt:|Til:|Emne:",
    "de": "----- Weitergeleitete Nachricht -----|Von:|Gesendet:|An:|Betreff:",
    "en": "----- Forwarded Message -----|From:|Sent:|To:|Subject:",
    "es": "----- Mensaje reenviado -----|De:|Enviado:|Para:|Asunto:",
    "fi": "----- Edelleenlähetetty viesti -----|Lähettäjä:|Lähetetty:|Vastaanottaja:|Aihe:",
    "fr": "----- Message transmis -----|De :|Envoyé :|À :|Objet :",
    "hu": "----- Továbbított üzenet -----|Feladó:|Elküldve:|Címzett:|Tárgy:",
    "it": "----- Messaggio inoltrato -----|Da:|Inviato:|A:|Oggetto:",
    "nl": "----- Doorgestuurd bericht -----|Van:|Verzonden:|Aan:|Onderwerp:",
    "no": "----- Videresendt melding -----|Fra:|Sendt:|Til:|Emne:",
    "pl": "----- Przekazana wiadomość -----|Od:|Wysłano:|Do:|Temat:",
    "pt": "----- Mensagem reencaminhada -----|De:|Enviado:|Para:|Assunto:",
    "pt-br": "----- Mensagem encaminhada -----|De:|Enviado:|Para:|Assunto:",
    "ro": "----- Mesaj redirecționat -----|De la:|Trimis:|Către:|Subiect:",
    "ru": "----- Пересылаемое сообщение -----|От:|Отправлено:|Кому:|Тема:",
    "sk": "----- Preposlaná správa -----|Od:|Odoslané:|Komu:|Predmet:",
    "sv": "----- Vidarebefordrat meddelande -----|Från:|Skickat:|Till:|Ämne:",
    "tr": "----- İletilmiş Mesaj -----|Kimden:|Gönderilen:|Kime:|Konu:",
    "uk": "----- Перенаправлене повідомлення -----|Від:|Відправлено:|Кому:|Тема:",
}

HUBSPOT = {
    "de": "---------- Weitergeleitete Nachricht ---------|Von:|Datum:|An:|Betreff:",
    "en": "---------- Forwarded message ---------|From:|Date:|To:|Subject:",
    "es": "---------- Mensaje reenviado ---------|De:|Fecha:|A:|Asunto:",
    "fi": "---------- Edelleenlähetetty viesti ---------|Lähettäjä:|Päivämäärä:|Vastaanottaja:|Aihe:",
    "fr": "---------- Message transféré ---------|De\u00a0:|Date\u00a0:|À\u00a0:|Objet\u00a0:",
    "it": "---------- Messaggio inoltrato ---------|Da:|Data:|A:|Oggetto:",
    "ja": "---------- メッセージを転送 ---------|送信元：|日付：|送信先：|件名：",
    "nl": "---------- Doorgestuurd bericht ---------|Van:|Datum:|Aan:|Onderwerp:",
    "pl": "---------- Wiadomość przesłana dalej ---------|Od:|Data:|Do:|Temat:",
    "pt-br": "---------- Mensagem encaminhada ---------|De:|Data:|Para:|Assunto:",
    "sv": "---------- Vidarebefordrat meddelande ---------|Från:|Datum:|Till:|Ämne:",
}

OUTLOOK = {
    "cs": "FW|Od:|Odesláno:|Komu:|Předmět:",
    "da": "VS|Fra:|Sendt:|Til:|Emne:",
    "de": "WG|Von:|Gesendet:|An:|Betreff:",
    "el": "ΠΡΘ|Από:|Στάλθηκε:|Προς:|Θέμα:",
    "en": "FW|From:|Sent:|To:|Subject:",
    "es": "RV|De:|Enviado el:|Para:|Asunto:",
    "et": "FW|Saatja:|Saadetud:|Adressaat:|Teema:",
    "fi": "VL|Lähettäjä:|Lähetetty:|Vastaanottaja:|Aihe:",
    "fr": "TR|De :|Envoyé :|À :|Objet :",
    "hr": "FW|Od:|Poslano:|Prima:|Predmet:",
    "hu": "FW|Feladó:|Küldve:|Címzett:|Tárgy:",
    "it": "I|Da:|Inviato:|A:|Oggetto:",
    "ja": "FW|差出人:|送信日時:|宛先:|件名:",
    "ko": "FW|보낸 사람:|보낸 날짜:|받는 사람:|제목:",
    "nl": "FW|Van:|Verzonden:|Aan:|Onderwerp:",
    "no": "VS|Fra:|Sendt:|Til:|Emne:",
    "pl": "PD|Od:|Wysłano:|Do:|Temat:",
    "pt": "FW|De:|Enviada:|Para:|Assunto:",
    "pt-br": "ENC|De:|Enviada em:|Para:|Assunto:",
    "ro": "FW|De la:|Trimis:|Către:|Subiect:",
    "ru": "FW|От:|Отправлено:|Кому:|Тема:",
    "sk": "FW|Od:|Odoslané:|Komu:|Predmet:",
    "sv": "VB|Från:|Skickat:|Till:|Ämne:",
    "tr": "İLT|Kimden:|Gönderildi:|Kime:|Konu:",
    "uk": "FW|Від:|Надіслано:|Кому:|Тема:",
    "zh": "转发|发件人:|发送时间:|收件人:|主题:",
    "zh-tw": "轉寄|寄件者:|寄件日期:|收件者:|主旨:",
}

OUTLOOK_FOR_MAC = {
    "cs": "FW|Od:|Datum:|Komu:|Předmět:",
    "da": "VS|Fra:|Dato:|Til:|Emne:",
    "de": "WG|Von:|Datum:|An:|Betreff:",
    "en": "FW|From:|Date:|To:|Subject:",
    "es": "RV|De:|Fecha:|Para:|Asunto:",
    "fi": "VL|Lähettäjä:|Päivämäärä:|Vastaanottaja:|Aihe:",
    "fr": "TR|De :|Date :|À :|Objet :",
    "hu": "FW|Feladó:|Dátum:|Címzett:|Tárgy:",
    "it": "I|Da:|Data:|A:|Oggetto:",
    "nl": "FW|Van:|Datum:|Aan:|Onderwerp:",
    "no": "Videresend|Fra:|Dato:|Til:|Emne:",
    "pl": "PD|Od:|Data:|Do:|Temat:",
    "pt": "FW|De:|Data:|Para:|Assunto:",
    "ru": "FW|От:|Дата:|Кому:|Тема:",
    "sk": "FW|Od:|Dátum:|Komu:|Predmet:",
    "sv": "VB|Från:|Datum:|Till:|Ämne:",
    "tr": "İLT|Kimden:|Tarih:|Kime:|Konu:",
}

OUTLOOK_ATTRIBUTION = {
    "cs": "Dne 28.10.2026 12:46, {name} <{address}> napsal(a):",
    "da": 'Den 28/10/2026 12.46 skrev "{name}" <{address}>:',
    "de": 'Am 28.10.26, 12:46 schrieb "{name}" <{address}>:',
    "en": 'On 28/10/2026, 12:46, "{name}" <{address}> wrote:',
    "es": 'El 28/10/26 12:46, "{name}" <{address}> escribió:',
    "fi": "{name} <{address}> kirjoitti 28.10.2026 kello 12.46:",
    "fr": "Le 28/10/2026 12:46, « {name} » <{address}> a écrit :",
    "hu": "2026. 10. 28. 12:46 időpontban {name} ({address}) ezt írta:",
    "it": 'Il giorno 28/10/26, 12:46 "{name}" <{address}> ha scritto:',
    "nl": "Op 28-10-2026 12:46 heeft {name} <{address}> geschreven:",
    "no": "{name} <{address}> skrev følgende den 28.10.2026, 12:46:",
    "pl": "Dnia 28.10.2026 12:46 „{name}” <{address}> napisał:",
    "pt": 'Em 28/10/2026, 12:46, "{name}" <{address}> escreveu:',
    "ru": '28.10.2026, 12:46 пользователь "{name}" <{address}> написал:',
    "sk": "28. 10. 2026 12:46 používateľ {name} (<{address}>) napísal:",
    "sv": 'Den 2026-10-28 12:46 skrev "{name}" <{address}> följande:',
    "tr": '"{name}" <{address}>, 28.10.2026 12:46 tarihinde şunu yazdı:',
}

OUTLOOK_ON_THE_WEB = ("FW", "Fw", "WG", "RV", "TR", "I", "PD", "ENC", "Redir.", "VB", "VL", "Fwd")

SENDER_FORMS = {
    "name-angle": f"Jane Doe <{SENDER}>",
    "quoted": f'"Jane Doe" <{SENDER}>',
    "apostrophes": f"'Jane Doe' <{SENDER}>",
    "bare": SENDER,
    "angle": f"<{SENDER}>",
    "twice": f"{SENDER} <{SENDER}>",
    "quoted-twice": f'"{SENDER}" <{SENDER}>',
    "mailto": f"Jane Doe [mailto:{SENDER}]",
    "mailto-angle": f"{SENDER} <mailto:{SENDER}>",
    "square": f"Jane Doe [{SENDER}]",
    "link": f"Jane Doe <{SENDER}<mailto:{SENDER}>>",
    "link-spaced": f"Jane Doe <{SENDER} <mailto:{SENDER}>>",
    "last-first": f"Doe, Jane <{SENDER}>",
    "round": f"Jane Doe (Sales) <{SENDER}>",
    "upper": f"JANE <{SENDER.upper()}>",
    "marks": f"\u202aJane\u00a0Doe\u202c <\u200e{SENDER}\u200e>",
}


def block(words: Header, order: str, sender: str = SENDER_FORMS["name-angle"]) -> list[str]:
    """The header lines in an order like "FDST": From, Date, Subject, To."""
    lines = {
        "F": f"{words.sender} {sender}",
        "D": f"{words.sent} Wed, 28 Oct 2026 12:46:10 +0200",
        "S": f"{words.subject} {SUBJECT}",
        "T": f"{words.to} {TO}",
        "C": f"Cc: {CC}",
    }
    return [lines[letter] for letter in order]


def quoted(text: str) -> str:
    return "".join(f"> {line}".rstrip() + "\n" for line in text.splitlines())


def forwards() -> Iterator[Mail]:
    """Every forward: plain with and without words of the owner's own above it, and as HTML."""
    for mail in (*_plain(), *_single_clients(), *_sender_forms()):
        yield mail
        if not mail.is_html:
            yield Mail(f"{mail.name}-words", mail.subject, WORDS + mail.text)
    yield from _html()


def _plain() -> Iterator[Mail]:
    for code, row in APPLE.items():
        words = header(row)
        lines = "\n".join(block(words, "FSDTC"))
        yield Mail(f"apple-{code}", f"Fwd: {SUBJECT}", f"\n{words.separator}\n\n{quoted(lines + chr(10) * 2 + BODY)}")
    for code, sender in GMAIL.items():
        words = Header("---------- Forwarded message ---------", sender, "Date:", "To:", "Subject:")
        yield Mail(f"gmail-{code}", f"Fwd: {SUBJECT}", _below(words, "FDSTC"))
    for code, row in THUNDERBIRD.items():
        words = header(row)
        tabbed = [line.replace(": ", ": \t", 1) for line in block(words, "SDFTC")]
        yield Mail(f"thunderbird-{code}", f"Fwd: {SUBJECT}", "\n".join([words.separator, *tabbed, "", "", BODY]))
    for code, row in YAHOO.items():
        words = header(row)
        one_line = "".join(block(words, "FTCDS", f"Jane Doe <{SENDER}>"))
        yield Mail(f"yahoo-{code}", f"Fw: {SUBJECT}", f"   {words.separator} {one_line}\n {BODY}")
        yield Mail(f"yahoo-{code}-lines", f"Fw: {SUBJECT}", _below(words, "FTCDS"))
    for code, row in HUBSPOT.items():
        yield Mail(f"hubspot-{code}", f"Fwd: {SUBJECT}", _below(header(row), "FDSTC"))
    for code, row in OUTLOOK.items():
        prefix, *labels = header(row)
        text = "\n".join(block(Header("", *labels), "FDTCS")) + f"\n\n{BODY}"
        yield Mail(f"outlook-{code}", f"{prefix}: {SUBJECT}", text)
    for code, row in OUTLOOK_FOR_MAC.items():
        prefix, *labels = header(row)
        text = "\n".join(block(Header("", *labels), "FDTCS")) + f"\n{BODY}"
        yield Mail(f"outlook-mac-{code}", f"{prefix}: {SUBJECT}", text)
    for code, row in OUTLOOK_ATTRIBUTION.items():
        attribution = row.format(name="Jane Doe", address=SENDER)
        text = "".join(f"    {each}\n" if each else "\n" for each in BODY.splitlines())
        yield Mail(f"outlook-2019-mac-{code}", f"FW: {SUBJECT}", f"{attribution}\n\n{text}")
    for prefix in OUTLOOK_ON_THE_WEB:
        words = Header("_" * 32, "From:", "Sent:", "To:", "Subject:")
        yield Mail(f"outlook-web-{prefix}", f"{prefix}: {SUBJECT}", _below(words, "FDTCS"))


def _below(words: Header, order: str) -> str:
    return "\n".join([words.separator, *block(words, order), "", BODY])


def _single_clients() -> Iterator[Mail]:
    english = Header("", "From:", "Date:", "To:", "Subject:")
    for name, separator, order in (
        ("missive", "---------- Forwarded message ----------", "FDTCS"),
        ("ionos", "---------- Original Message ----------", "FTDS"),
        ("roundcube", "-------- Original Message --------", "SDFT"),
        ("samsung", "-------- Original message --------", "FDTS"),
        ("aol", "-----Original Message-----", "FTDS"),
        ("proton", "------- Forwarded Message -------", "FDST"),
        ("proton-hyphens", "‐‐‐‐‐‐‐ Forwarded Message ‐‐‐‐‐‐‐", "FDST"),  # Proton's own hyphens
        ("zoho", "============ Forwarded message ============", "FTDS"),
        ("mutt", f"----- Forwarded message from Jane Doe <{SENDER}> -----\n", "DFTS"),
        ("claws", "Begin forwarded message:\n", "DFTS"),
        ("notes", "----- Forwarded by Ann Smith/Sales on 28.10.2026 12:46 -----\n", "FTDS"),
        ("evolution", "-------- Forwarded Message --------", "FTSD"),
        ("kmail", "----------  Forwarded Message  ----------\n", "SDFT"),
    ):
        yield Mail(name, f"Fwd: {SUBJECT}", _below(english._replace(separator=separator), order))
    for name, subject in (("netscape", f"[Fwd: {SUBJECT}]"), ("squirrelmail", f"[List] [Fwd: {SUBJECT}]")):
        yield Mail(name, subject, _below(english._replace(separator="-------- Original Message --------"), "SDFT"))
    bat = _below(english._replace(separator="This is a forwarded message"), "FTDS")
    yield Mail("the-bat", f"Fwd: {SUBJECT}", f"Hello,\n\n{bat}")
    lines = "\n".join(block(english, "FTCSD"))
    yield Mail("mailmate", f"Fwd: {SUBJECT}", f"Forwarded message:\n\n{quoted(lines + chr(10) * 2 + BODY)}")
    ionos = _below(english._replace(separator="---------- Original Message ----------"), "FTDS")
    yield Mail("ionos-quoted", f"Fwd: {SUBJECT}", quoted(ionos))
    apple = _below(english._replace(separator="Begin forwarded message:\n"), "FSDT")
    yield Mail("apple-all-quoted", f"Fwd: {SUBJECT}", quoted(apple))
    mobile = _below(Header("_" * 32, "From:", "Sent:", "To:", "Subject:"), "FDTS")
    yield Mail("outlook-ios", f"Fw: {SUBJECT}", f"Get Outlook for iOS<https://aka.ms/o0ukef>\n{mobile}")
    bold = "\n".join(f"*{line.replace(': ', ':* ', 1)}" for line in block(english, "FDTCS"))
    yield Mail("gmail-of-outlook-bold", f"FW: {SUBJECT}", f"{bold}\n\n{BODY}")
    double = "\n".join(f"**{line.replace(': ', ':** ', 1)}" for line in block(english, "FDTCS"))
    yield Mail("double-bold", f"FW: {SUBJECT}", f"{double}\n\n{BODY}")
    yandex = f'28.10.2026, 12:46, "Jane Doe" <{SENDER}>:\n\n{quoted(BODY)}'
    yield Mail("yandex", f"Fwd: {SUBJECT}", f"-------- Пересылаемое сообщение --------\n{yandex}")
    mail_ru = _below(Header("-------- Пересылаемое сообщение --------", "От кого:", "Дата:", "Кому:", "Тема:"), "FTDS")
    yield Mail("mail-ru", f"Fwd: {SUBJECT}", mail_ru)
    gmx = "\n".join(block(Header("", "Von:", "Gesendet:", "An:", "Betreff:"), "DFTS"))
    yield Mail("gmx", f"Fw: {SUBJECT}", f"{quoted(gmx)}>\n{quoted(BODY)}")
    folded = "\n".join(
        [*block(english, "FD"), "Subject: Offer for\n12 pumps", "To: ann@sales.example,", " bob@sales.example"]
    )
    yield Mail("gmail-folded", f"Fwd: {SUBJECT}", f"---------- Forwarded message ---------\n{folded}\n\n{BODY}")
    folded = f"From: Jane Doe of the department of pumps and valves\n <{SENDER}>\n" + "\n".join(block(english, "DST"))
    yield Mail("sender-folded", f"Fwd: {SUBJECT}", f"---------- Forwarded message ---------\n{folded}\n\n{BODY}")
    inner = _below(Header("---------- Forwarded message ---------", "From:", "Date:", "To:", "Subject:"), "FDST")
    inner = inner.replace(SENDER, "eve@elsewhere.example")
    yield Mail(
        "nested-gmail",
        f"Fwd: {SUBJECT}",
        _below(english._replace(separator="---------- Forwarded message ---------"), "FDST") + inner,
    )
    spaced = "\n\n".join(block(english, "FDTS"))
    yield Mail("nested-outlook", f"FW: {SUBJECT}", "\n".join(block(english, "FDTS")) + f"\n\nSee below.\n\n{inner}")
    yield Mail("blank-lines-between", f"FW: {SUBJECT}", f"{spaced}\n\n{BODY}")
    yield Mail(
        "dates-and-labels-in-the-body",
        f"FW: {SUBJECT}",
        "\n".join(block(english, "FDTS")) + "\n\nFrom: our side all is well.\nTo: be done\n",
    )
    yield Mail(
        "tagged-subject",
        f"[EXTERNAL] Fwd: {SUBJECT}",
        _below(english._replace(separator="-------- Forwarded Message --------"), "SDFT"),
    )
    yield Mail(
        "no-prefix", SUBJECT, _below(english._replace(separator="---------- Forwarded message ---------"), "FDST")
    )
    yield Mail("crlf", f"FW: {SUBJECT}", ("\n".join(block(english, "FDTS")) + f"\n\n{BODY}").replace("\n", "\r\n"))
    yield Mail("byte-order-mark", f"FW: {SUBJECT}", "\ufeff" + "\n".join(block(english, "FDTS")) + f"\n\n{BODY}")


def _sender_forms() -> Iterator[Mail]:
    english = Header("", "From:", "Sent:", "To:", "Subject:")
    for name, form in SENDER_FORMS.items():
        yield Mail(f"sender-{name}", f"FW: {SUBJECT}", "\n".join(block(english, "FDTCS", form)) + f"\n\n{BODY}")


def _html() -> Iterator[Mail]:
    for words, above in (("", ""), ("-words", "<p>Please file this.</p><p>Thanks,<br>Ann</p>")):
        for name, prefix, html in _html_blocks():
            page = f"<html><head><style>p {{margin:0}}</style></head>\n<body>\n{above}{html}\n</body></html>"
            yield Mail(f"html-{name}{words}", f"{prefix}: {SUBJECT}", page, is_html=True)


def _html_blocks() -> Iterator[tuple[str, str, str]]:
    for code, row in OUTLOOK.items():
        prefix, *labels = header(row)
        yield f"outlook-{code}", prefix, _outlook_html(Header("", *labels))
    for code, sender in GMAIL.items():
        yield f"gmail-{code}", "Fwd", _gmail_html(sender)
    for code, row in APPLE.items():
        yield f"apple-{code}", "Fwd", _apple_html(header(row))
    for code, row in THUNDERBIRD.items():
        yield f"thunderbird-{code}", "Fwd", _thunderbird_html(header(row))
    for code, row in YAHOO.items():
        yield f"yahoo-{code}", "Fw", _yahoo_html(header(row))
    lines = "<br>".join(_bold(block(Header("", "From:", "Sent:", "To:", "Subject:"), "FDTCS")))
    block_below_a_line = f'<div style="border-top: 1px solid #b5c4df">{lines}</div><div>{BODY}</div>'
    gmx = "<br>".join(_bold(block(Header("", "Von:", "Gesendet:", "An:", "Betreff:"), "DFTS")))
    yield (
        "gmx",
        "Fw",
        f"<div><div>Bitte.</div><div>&nbsp;<div name='quote'><div>{gmx}</div><p>{BODY}</p></div></div></div>",
    )
    yield "outlook-line", "FW", f"<div>Please file this.</div>{block_below_a_line}"
    yield "outlook-web", "Fw", f'<hr><div id="divRplyFwdMsg">{lines}<div>&nbsp;</div></div>{BODY}'


def _outlook_html(labels: Header) -> str:
    border = "border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0cm 0cm 0cm"
    lines = "<br>".join(_bold(block(labels, "FDTCS")))
    return f"<div style='{border}'><p class=MsoNormal>{lines}<o:p></o:p></p></div><p>{BODY}</p>"


def _gmail_html(sender: str) -> str:
    labels = Header("---------- Forwarded message ---------", sender, "Date:", "To:", "Subject:")
    link = f'<strong>Jane</strong> <span>&lt;<a href="mailto:{SENDER}">{SENDER}</a>&gt;</span>'
    lines = "<br>".join([f"{sender} {link}", *map(escape, block(labels, "DSTC"))])
    return f'<div class="gmail_quote"><div>{labels.separator}<br>{lines}<br></div><br>{BODY}</div>'


def _apple_html(labels: Header) -> str:
    lines = "".join(f"<div><span>{line}<br></span></div>" for line in _bold(block(labels, "FSDTC")))
    return f'<blockquote type="cite"><div>{labels.separator}</div><br>{lines}<br><div>{BODY}</div></blockquote>'


def _thunderbird_html(labels: Header) -> str:
    pairs = (line.partition(":") for line in block(labels, "SDFTC"))
    cells = "".join(f"<tr><th>{name}: </th><td>{escape(value)}</td></tr>" for name, _, value in pairs)
    return f"<div><br>{labels.separator}<table>{cells}</table><br>{BODY}</div>"


def _yahoo_html(labels: Header) -> str:
    lines = "".join(f"<div>{line}</div>" for line in _bold(block(labels, "FTCDS")))
    return f"<div><div>{labels.separator}</div>{lines}<div><br></div><div>{BODY}</div></div>"


def _bold(lines: list[str]) -> list[str]:
    pairs = (line.replace("：", ":", 1).partition(":") for line in lines)
    return [f"<b>{escape(name)}:</b>{escape(value)}" for name, _, value in pairs]
