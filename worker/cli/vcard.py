"""A dropbox address as a vCard that Outlook, Apple Contacts and Google Contacts import (R3, RFC 2426)."""

import vobject


def vcard_of(address: str, login: str) -> bytes:
    """Return a vCard 3.0 in UTF-8 with FN, N and EMAIL, the fields that Outlook, Apple and Google require."""
    card = vobject.vCard()
    card.add("fn").value = f"BCC Dropbox ({login})"
    card.add("n").value = vobject.vcard.Name(family="BCC Dropbox", given=login)
    email = card.add("email")
    email.value = address
    email.type_param = ["INTERNET", "PREF"]
    card.add("note").value = "Put this address in Bcc and the CRM keeps a copy. Keep it to yourself: it is a key."
    return str(card.serialize()).encode()
