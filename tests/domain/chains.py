"""The header blocks that real delivery chains leave, each ending where the sender's own fields begin."""

from dataclasses import dataclass

from tests.domain.made import FORGED_TOKEN, JANES_TOKEN, JOHNS_TOKEN

ADDRESS = f"drop+{JANES_TOKEN}@drop.example"
OTHER = f"drop+{JOHNS_TOKEN}@drop.example"
FORGED = f"drop+{FORGED_TOKEN}@drop.example"

POSTFIX = f"""\
Received: from mail.sales.example (mail.sales.example [192.0.2.7])
\tby mx.drop.example (Postfix) with ESMTPS id 4XyZ1
\tfor <{ADDRESS}>; Mon, 23 Nov 2026 09:00:00 +0000 (UTC)
"""
POSTFIX_OF_TWO = """\
Received: from mail.sales.example (mail.sales.example [192.0.2.7])
\tby mx.drop.example (Postfix) with ESMTPS id 4XyZ1;
\tMon, 23 Nov 2026 09:00:00 +0000 (UTC)
"""
DOVECOT = f"""\
Received: from mx.drop.example
\tby mx.drop.example with LMTP
\tid abcDEF (envelope-from <jane@sales.example>)
\tfor <{ADDRESS}>; Mon, 23 Nov 2026 09:00:00 +0000
"""
DOVECOT_OF_TWO = """\
Received: from mx.drop.example
\tby mx.drop.example with LMTP
\tid abcDEF (envelope-from <jane@sales.example>); Mon, 23 Nov 2026 09:00:00 +0000
"""
EXIM = f"""\
Received: from mail.sales.example ([192.0.2.7])
\tby mx.drop.example with esmtps  (TLS1.3) tls TLS_AES_256_GCM_SHA384
\t(Exim 4.96)
\t(envelope-from <jane@sales.example>)
\tid 1uAbCd-000001-AB
\tfor {ADDRESS};
\tMon, 23 Nov 2026 09:00:00 +0000
"""
EXIM_OF_TWO = """\
Received: from mail.sales.example ([192.0.2.7])
\tby mx.drop.example with esmtp (Exim 4.96)
\t(envelope-from <jane@sales.example>)
\tid 1uAbCd-000001-AB; Mon, 23 Nov 2026 09:00:00 +0000
"""
OPENSMTPD = f"""\
Received: from mail.sales.example (mail.sales.example [192.0.2.7])
\tby mx.drop.example (OpenSMTPD) with ESMTP id 1a2b3c4d
\tfor <{ADDRESS}>;
\tMon, 23 Nov 2026 09:00:00 +0000 (UTC)
"""
CYRUS = """\
Received: from mx.drop.example ([127.0.0.1])
\tby mx.drop.example (Cyrus 3.6.1-Debian) with LMTPA;
\tMon, 23 Nov 2026 09:00:00 +0000
X-Sieve: CMU Sieve 3.0
"""
PATH = "Return-Path: <jane@sales.example>\n"


@dataclass(frozen=True)
class Chain:
    """What the server wrote on top, and the token it names: None where it lost the token."""

    fields: str
    header: str | None = None
    tokens: tuple[str, ...] = ()


CHAINS = {
    "postfix virtual": Chain(
        f"{PATH}X-Original-To: {ADDRESS}\nDelivered-To: {ADDRESS}\n{POSTFIX}", "Delivered-To", (JANES_TOKEN,)
    ),
    "postfix virtual, one copy of two": Chain(
        f"{PATH}X-Original-To: {ADDRESS}\nDelivered-To: {ADDRESS}\n{POSTFIX_OF_TWO}", "Delivered-To", (JANES_TOKEN,)
    ),
    "postfix local, catch-all alias": Chain(
        f"{PATH}X-Original-To: {ADDRESS}\nDelivered-To: drop@localhost\n{POSTFIX}", "X-Original-To", (JANES_TOKEN,)
    ),
    "postfix and dovecot lmtp, limit 1": Chain(
        f"{PATH}Delivered-To: {ADDRESS}\n{DOVECOT}{PATH}{POSTFIX_OF_TWO}", "Delivered-To", (JANES_TOKEN,)
    ),
    "postfix and dovecot lmtp, two at once": Chain(f"{PATH}{DOVECOT_OF_TWO}{PATH}{POSTFIX_OF_TWO}"),
    "postfix and dovecot lmtp, original delivery address": Chain(
        f"{PATH}{DOVECOT}{POSTFIX_OF_TWO}", "Received", (JANES_TOKEN,)
    ),
    "postfix and dovecot lmtp, flags DO": Chain(
        f"{PATH}{DOVECOT_OF_TWO}X-Original-To: {ADDRESS}\nDelivered-To: {ADDRESS}\n{POSTFIX_OF_TWO}",
        "Delivered-To",
        (JANES_TOKEN,),
    ),
    "postfix and dovecot-lda": Chain(
        f"{PATH}X-Original-To: {ADDRESS}\nDelivered-To: {ADDRESS}\n{POSTFIX}", "Delivered-To", (JANES_TOKEN,)
    ),
    "exim appendfile": Chain(
        f"Return-path: <jane@sales.example>\nEnvelope-to: {ADDRESS}\n"
        f"Delivery-date: Mon, 23 Nov 2026 09:00:01 +0000\n{EXIM}",
        "Envelope-To",
        (JANES_TOKEN,),
    ),
    "exim redirecting, both in one copy": Chain(
        f"Return-path: <jane@sales.example>\nEnvelope-to: {OTHER},\n\t{ADDRESS}\n{EXIM_OF_TWO}",
        "Envelope-To",
        (JOHNS_TOKEN, JANES_TOKEN),
    ),
    "exim lmtp": Chain(f"{PATH}{DOVECOT_OF_TWO}{EXIM}", "Received", (JANES_TOKEN,)),
    "exim lmtp, two at once": Chain(f"{PATH}{DOVECOT_OF_TWO}{EXIM_OF_TWO}"),
    "exim lmtp, affixes, max_rcpt 1": Chain(
        f"{PATH}Delivered-To: {ADDRESS}\n{DOVECOT}Envelope-to: {ADDRESS}\n{EXIM_OF_TWO}",
        "Delivered-To",
        (JANES_TOKEN,),
    ),
    "exim lmtp, affixes, each copy lists both": Chain(
        f"{PATH}{DOVECOT_OF_TWO}Envelope-to: {ADDRESS}, {OTHER}\n{EXIM_OF_TWO}",
        "Envelope-To",
        (JANES_TOKEN, JOHNS_TOKEN),
    ),
    "opensmtpd maildir": Chain(f"{PATH}Delivered-To: {ADDRESS}\n{OPENSMTPD}", "Delivered-To", (JANES_TOKEN,)),
    "opensmtpd lmtp": Chain(
        f"{PATH}Delivered-To: drop\n{DOVECOT_OF_TWO}Delivered-To: {ADDRESS}\n{OPENSMTPD}",
        "Delivered-To",
        (JANES_TOKEN,),
    ),
    "opensmtpd lmtp rcpt-to": Chain(
        f"{PATH}Delivered-To: {ADDRESS}\n{DOVECOT_OF_TWO}Delivered-To: {ADDRESS}\n{OPENSMTPD}",
        "Delivered-To",
        (JANES_TOKEN,),
    ),
    "postfix and cyrus lmtp": Chain(f"{PATH}{CYRUS}{POSTFIX_OF_TWO}"),
    "postfix and cyrus lmtp, flags DO": Chain(
        f"{PATH}{CYRUS}X-Original-To: {ADDRESS}\nDelivered-To: {ADDRESS}\n{POSTFIX_OF_TWO}",
        "Delivered-To",
        (JANES_TOKEN,),
    ),
    "courier": Chain(
        f"Delivered-To: drop-drop+{JANES_TOKEN}@mx.drop.example\n{PATH}"
        "Received: from mail.sales.example (mail.sales.example [192.0.2.7])\n"
        "  (TLS: TLSv1.3)\n  by mx.drop.example with ESMTPS\n"
        "  id 00000000001A2B3C; Mon, 23 Nov 2026 09:00:00 +0000\n",
        "Delivered-To",
        (JANES_TOKEN,),
    ),
}

FORGERIES = {
    "Delivered-To": f"Delivered-To: {FORGED}\n",
    "X-Original-To": f"X-Original-To: {FORGED}\n",
    "Envelope-To": f"Envelope-To: {FORGED}\n",
    "Received for": (
        f"Received: from evil.example by mx.drop.example (Postfix) with ESMTP id X for <{FORGED}>;"
        " Mon, 23 Nov 2026 08:59:00 +0000\n"
    ),
    "Received for, as if handed over by LMTP": (
        "Received: from mx.drop.example by mx.drop.example with LMTP id X"
        f" for <{FORGED}>; Mon, 23 Nov 2026 08:59:00 +0000\nDelivered-To: {FORGED}\n"
    ),
    "all of them": (
        f"Delivered-To: {FORGED}\nX-Original-To: {FORGED}\nX-Delivered-To: {FORGED}\nEnvelope-To: {FORGED}\n"
        f"X-Envelope-To: {FORGED}\nX-Forwarded-To: {FORGED}\n"
        f"Received: by mx.drop.example with ESMTP for <{FORGED}>; Mon, 23 Nov 2026 08:59:00 +0000\n"
        f"Delivered-To: {FORGED}\n"
    ),
}

SENDERS_OWN = """\
From: Jane <jane@sales.example>
To: bob@client.example
Subject: Offer
Message-ID: <1@sales.example>
Date: Mon, 23 Nov 2026 09:00:00 +0000
"""
