"""The words that mail clients write around a forwarded mail, one row for each language (R28).

Within a cell, `|` separates the words of different clients. The reader compares words without regard to case, accents,
and spaces, so a row holds one spelling of each.
"""

import re
import unicodedata
from enum import StrEnum
from functools import cache
from typing import NamedTuple


class Kind(StrEnum):
    """The field that a label names."""

    SENDER = "sender"
    SENT = "sent"
    SUBJECT = "subject"
    TO = "to"
    """Cc, too."""
    OTHER = "other"


class Prefix(StrEnum):
    """The meaning of the first abbreviation in a subject."""

    FORWARD = "forward"
    REPLY = "reply"
    EITHER = "either"
    """VS is a forward in Danish and Norwegian, and a reply in Finnish and Estonian."""


class Language(NamedTuple):
    """One row: the words of a language.

    Only a forward has the separators in ``forwarded``; a reply may have those in ``original``, too.
    """

    code: str
    sender: str
    sent: str
    subject: str
    to: str
    other: str
    forwarded: str
    original: str
    wrote: str
    forwards: str
    replies: str


ENGLISH = "en"

LANGUAGES = (
    Language(
        ENGLISH,
        "From",
        "Date|Sent|Received|Sent at|Sent on",
        "Subject",
        "To|Cc",
        "Bcc|Reply-To|Sender|Organization|Organisation|Attachments|Importance|Priority|Sensitivity|Newsgroups"
        "|Message-ID|Resent-From|Return-Path|Mailing list|Categories|Flag",
        "Forwarded message|Begin forwarded message|Start of forwarded message|Forwarded by|Forwarded mail"
        "|Forwarded email|Forwarded message from|Message forwarded|This is a forwarded message",
        "Original message|Original mail|Original email|Original appointment|Reply message",
        "wrote|writes",
        "Fw|Fwd|Forward|Forwarded",
        "Re|Reply|Response",
    ),
    Language(
        "de",
        "Von|Absender",
        "Gesendet|Datum|Gesendet am|Empfangen",
        "Betreff",
        "An|Empfänger|Kopie|Kopie (CC)",
        "Blindkopie|Antwort an|Antworten an|Anlagen|Wichtigkeit|Priorität",
        "Weitergeleitete Nachricht|Anfang der weitergeleiteten Nachricht|Anfang der weitergeleiteten E-Mail"
        "|Weitergeleitete E-Mail|Weitergeleitete Mail|Weitergeleitet von|Beginn der weitergeleiteten Nachricht"
        "|Dies ist eine weitergeleitete Nachricht",
        "Ursprüngliche Nachricht|Originalnachricht|Original-Nachricht|Ursprüngliche Mail|Ursprüngliche E-Mail",
        "schrieb|hat geschrieben",
        "WG|Weitergeleitet",
        "AW|Antwort|Antw",
    ),
    Language(
        "fr",
        "De|Expéditeur",
        "Date|Envoyé|Envoyé le|Envoyée|Date d'envoi",
        "Objet|Sujet",
        "À|Pour|Destinataire|Copie|Copie à",
        "Cci|Répondre à|Réponse à|Pièces jointes",
        "Message transféré|Message transmis|Message réexpédié|Début du message réexpédié"
        "|Début du message transféré|Courriel transféré|E-mail transféré|Mail transféré|Transféré par"
        "|Début du courriel transféré",
        "Message original|Message d'origine|Mail original|Courriel original|Message initial",
        "a écrit",
        "TR|Transf|Transféré",
        "RÉ|RÉP|Réponse",
    ),
    Language(
        "es",
        "De|Remitente",
        "Fecha|Enviado|Enviado el|Enviada|Fecha de envío",
        "Asunto",
        "Para|A|Destinatario|Con copia",
        "Cco|Responder a|Adjuntos|Importancia",
        "Mensaje reenviado|Inicio del mensaje reenviado|Comienzo del mensaje reenviado|Correo reenviado"
        "|Reenviado por|Mensaje remitido|Correo electrónico reenviado",
        "Mensaje original|Correo original",
        "escribió",
        "RV|Reenv|Reenviado",
        "Resp|Respuesta",
    ),
    Language(
        "it",
        "Da|Mittente",
        "Data|Inviato|Inviato il|Data invio",
        "Oggetto",
        "A|Per|Destinatario",
        "Ccn|Rispondi a|Allegati|Priorità",
        "Messaggio inoltrato|Inizio messaggio inoltrato|Inizio del messaggio inoltrato|E-mail inoltrata|Inoltrato da",
        "Messaggio originale|Messaggio d'origine",
        "ha scritto",
        "I|Inoltro|Inoltra",
        "R|RIF|Risposta",
    ),
    Language(
        "nl",
        "Van|Afzender",
        "Datum|Verzonden|Verzonden op|Verstuurd",
        "Onderwerp",
        "Aan|Naar|Ontvanger|Kopie",
        "Antwoord aan|Antwoord naar|Bijlagen|Urgentie",
        "Doorgestuurd bericht|Begin doorgestuurd bericht|Begin van doorgestuurd bericht|Doorgestuurde e-mail"
        "|Doorgestuurd door|Doorgezonden bericht|Doorgestuurd bericht volgt",
        "Oorspronkelijk bericht|Origineel bericht|Oorspronkelijke bericht",
        "schreef|geschreven",
        "Doorst|Doorgestuurd",
        "Antw|Antwoord",
    ),
    Language(
        "pt",
        "De|Remetente",
        "Data|Enviado|Enviada|Enviado em|Enviada em|Enviado a|Data de envio",
        "Assunto",
        "Para|A|Destinatário",
        "Cco|Responder a|Responder para|Anexos|Importância|Prioridade",
        "Mensagem encaminhada|Mensagem reencaminhada|Início da mensagem encaminhada"
        "|Início da mensagem reencaminhada|E-mail encaminhado|E-mail reencaminhado|Encaminhado por",
        "Mensagem original",
        "escreveu",
        "ENC|Encaminhado|Reenc",
        "RES|Resposta",
    ),
    Language(
        "sv",
        "Från|Avsändare",
        "Datum|Skickat|Skickades",
        "Ämne",
        "Till|Mottagare|Kopia",
        "Svara till|Bilagor|Prioritet",
        "Vidarebefordrat meddelande|Vidarebefordrat mejl|Vidarebefordrat brev|Vidarebefordrad e-post"
        "|Vidarebefordrat e-postmeddelande|Vidarebefordrat meddelande börjar|Vidarebefordrat av"
        "|Vidarebefordrat mail",
        "Ursprungligt meddelande|Originalmeddelande|Ursprungligt mejl",
        "skrev",
        "VB|Vidarebefordrat",
        "SV|Svar",
    ),
    Language(
        "da",
        "Fra|Afsender",
        "Dato|Sendt",
        "Emne",
        "Til|Modtager|Kopi",
        "Svar til|Vedhæftet",
        "Videresendt meddelelse|Videresendt besked|Start på videresendt besked|Videresendt e-mail"
        "|Videresendt mail|Videresendt af|Start på videresendt meddelelse",
        "Oprindelig meddelelse|Oprindelig besked|Original meddelelse|Original besked",
        "skrev",
        "VS|Videresend|Videresendt",
        "SV|Svar",
    ),
    Language(
        "no",
        "Fra|Avsender",
        "Dato|Sendt",
        "Emne",
        "Til|Mottaker|Kopi",
        "Svar til|Vedlegg",
        "Videresendt melding|Videresendt e-post|Vidaresend melding|Start på videresendt melding|Videresendt av"
        "|Begynnelse på videresendt melding",
        "Opprinnelig melding|Original melding|Opprinnelig e-post",
        "skrev",
        "VS|Videresend|Videresendt",
        "SV|Svar",
    ),
    Language(
        "fi",
        "Lähettäjä",
        "Päivämäärä|Päiväys|Lähetetty|Pvm",
        "Aihe",
        "Vastaanottaja|Vastaanottajat|Saaja|Kopio",
        "Vastaus|Vastausosoite|Liitteet",
        "Edelleenlähetetty viesti|Välitetty viesti|Välitetty viesti alkaa|Välitetty viesti / Fwd.Msg"
        "|Välitetyn viestin alku|Välitetty sähköposti",
        "Alkuperäinen viesti",
        "kirjoitti",
        "VL|Välitetty",
        "VS|Vast|Vastaus",
    ),
    Language(
        "et",
        "Saatja|Kellelt",
        "Kuupäev|Saadetud|Saatmisaeg",
        "Teema|Pealkiri",
        "Saaja|Adressaat|Kellele|Koopia",
        "Vasta",
        "Edastatud kiri|Edastatud sõnum|Edastatud kirja algus|Edasi saadetud kiri",
        "Algne kiri|Algne sõnum|Originaalkiri|Algsõnum|Algkiri",
        "kirjutas",
        "Edasi|Edastatud",
        "VS|Vastus",
    ),
    Language(
        "is",
        "Frá",
        "Dagsetning|Sent",
        "Efni",
        "Til|Afrit",
        "",
        "Áframsendur póstur|Áframsend skilaboð",
        "Upprunaleg skilaboð|Upphaflegur póstur",
        "skrifaði",
        "FS|Framsent",
        "SV|Svar",
    ),
    Language(
        "cs",
        "Od|Odesílatel",
        "Datum|Odesláno|Posláno|Odeslané",
        "Předmět|Věc",
        "Komu|Příjemce|Kopie",
        "Odpověď na|Odpovědět komu|Přílohy|Důležitost",
        "Přeposlaná zpráva|Začátek přeposílané zprávy|Přeposlaný e-mail|Předaná zpráva|Přeposlal",
        "Původní zpráva|Původní e-mail|Původní mail",
        "napsal|napsala|napsal(a)|píše",
        "Přep|Předat|Přeposláno",
        "Odp|Odpověď",
    ),
    Language(
        "sk",
        "Od|Odosielateľ",
        "Dátum|Odoslané|Poslané",
        "Predmet",
        "Komu|Pre|Príjemca|Kópia",
        "Odpovedať-Pre|Odpovedať komu|Prílohy",
        "Preposlaná správa|Preposlaná správa --- Forwarded Message|Začiatok preposlanej správy|Preposlaný e-mail",
        "Pôvodná správa|Pôvodný e-mail",
        "napísal|napísala|napísal(a)",
        "Prep|Preposlané",
        "Odp|Odpoveď",
    ),
    Language(
        "pl",
        "Od|Nadawca",
        "Data|Wysłano|Wysłane|Data wysłania",
        "Temat",
        "Do|Adresat|Odbiorca|DW|Kopia",
        "UDW|Odpowiedź-do|Odpowiedz do|Załączniki|Ważność",
        "Treść przekazanej wiadomości|Przekazana wiadomość|Wiadomość przesłana dalej|Przekazywana wiadomość"
        "|Początek przekazywanej wiadomości|Wiadomość przekazana dalej|Przesłana dalej wiadomość",
        "Wiadomość oryginalna|Oryginalna wiadomość|Pierwotna wiadomość",
        "napisał|napisała|napisał(a)|pisze",
        "PD|Przekazane|Podaj dalej",
        "ODP|Odpowiedź",
    ),
    Language(
        "hu",
        "Feladó|Küldő",
        "Dátum|Küldve|Elküldve|Küldés dátuma",
        "Tárgy",
        "Címzett|Címzettek|Másolat|Másolatot kap",
        "Válaszcím|Mellékletek",
        "Továbbított üzenet|Továbbított levél|Továbbított levél kezdete|Továbbított e-mail",
        "Eredeti üzenet|Eredeti levél",
        "írta|ezt írta",
        "Továbbítás|Továbbítva|Tov",
        "Vá|Válasz",
    ),
    Language(
        "ro",
        "De la|Expeditorul|Expeditor|De",
        "Dată|Data|Trimis|Trimis la",
        "Subiect|Subiectul",
        "Către|Destinatarul|Destinatar|La",
        "Răspuns către|Atașamente",
        "Mesaj redirecționat|Începe mesajul redirecționat|Mesaj retransmis|Mesaj transmis mai departe",
        "Mesajul original|Mesaj original|Mesaj inițial",
        "a scris",
        "Redir|Redirecționat",
        "Răsp|Răspuns",
    ),
    Language(
        "hr",
        "Od|Šalje|Pošiljatelj",
        "Datum|Poslano|Vrijeme",
        "Predmet|Naslov",
        "Prima|Za|Primatelj|Kopija",
        "Odgovori na|Privitci",
        "Proslijeđena poruka|Započni proslijeđenu poruku|Početak proslijeđene poruke|Proslijeđeno",
        "Izvorna poruka|Originalna poruka",
        "je napisao|je napisala|je napisao/la|napisao je|piše",
        "Proslijeđeno|Prosl",
        "Odg|Odgovor",
    ),
    Language(
        "sl",
        "Od|Pošiljatelj",
        "Datum|Poslano",
        "Zadeva",
        "Za|Prejemnik|Kp",
        "Odgovori|Priloge",
        "Posredovano sporočilo|Začetek posredovanega sporočila",
        "Izvirno sporočilo|Izvorno sporočilo",
        "je napisal|je napisala|piše",
        "Posr|Posredovano",
        "Odg|Odgovor",
    ),
    Language(
        "sr",
        "Od|Šalje|Од|Шаље",
        "Datum|Poslato|Датум|Послато",
        "Naslov|Predmet|Наслов|Предмет",
        "Za|Prima|За|Прима|Kopija|Копија",
        "",
        "Prosleđena poruka|Прослеђена порука|Početak prosleđene poruke",
        "Originalna poruka|Оригинална порука",
        "je napisao|je napisala|је написао|је написала",
        "Prosl|Просл|Prosleđeno",
        "Odg|Одг|Odgovor",
    ),
    Language(
        "bg",
        "От|Подател",
        "Дата|Изпратено",
        "Тема|Относно",
        "До|Получател|Копие",
        "Отговор до",
        "Препратено съобщение|Препратено писмо|Начало на препратеното съобщение",
        "Оригинално писмо|Оригинално съобщение|Първоначално съобщение",
        "написа",
        "Препр|Препратено",
        "Отг|Отговор",
    ),
    Language(
        "el",
        "Από|Αποστολέας",
        "Ημερομηνία|Στάλθηκε|Εστάλη|Απεστάλη|Ημ/νία",
        "Θέμα",
        "Προς|Παραλήπτης|Κοιν|Κοινοποίηση",
        "Απάντηση προς",
        "Προωθημένο μήνυμα|Έναρξη προωθημένου μηνύματος|Προωθούμενο μήνυμα",
        "Αρχικό μήνυμα",
        "έγραψε",
        "ΠΡΘ|Προωθημένο",
        "ΑΠ|ΣΧΕΤ|Απάντηση",
    ),
    Language(
        "tr",
        "Kimden|Gönderen",
        "Tarih|Gönderildi|Gönderilen|Gönderme Tarihi|Gönderim Tarihi|Gönderilme Tarihi",
        "Konu",
        "Kime|Alıcı|Bilgi",
        "Yanıt Adresi|Yanıtlanacak|Ekler",
        "İletilmiş Mesaj|İletilmiş İleti|İletilen İleti|İletilen mesaj|İleti başlangıcı|Yönlendirilmiş mesaj"
        "|Yönlendirilen ileti|İletilen e-posta",
        "Orijinal Mesaj|Özgün İleti|Orijinal İleti|Asıl ileti",
        "yazdı|şunu yazdı|şunları yazdı",
        "İLT|İlet",
        "YNT|Yanıt",
    ),
    Language(
        "ru",
        "От|Отправитель|От кого",
        "Дата|Отправлено|Дата отправки|Время",
        "Тема",
        "Кому|Получатель|Копия",
        "Ответ-Кому|Ответить|Скрытая копия|Вложения|Важность",
        "Пересылаемое сообщение|Перенаправленное сообщение|Пересланное сообщение|Переадресованное сообщение"
        "|Начало переадресованного сообщения|Начало пересылаемого сообщения|Начало пересланного сообщения"
        "|Пересылаемое письмо|Пересланное письмо|Это пересланное сообщение",
        "Исходное сообщение|Оригинальное сообщение|Первоначальное сообщение|Исходное письмо",
        "написал|написала|написал(а)|пишет|писал",
        "Пересл|ПРД|Пересылка",
        "Отв|Ответ",
    ),
    Language(
        "uk",
        "Від|Від кого|Відправник",
        "Дата|Надіслано|Відправлено",
        "Тема",
        "Кому|Одержувач|Отримувач|Копія",
        "Кому відповісти|Відповісти",
        "Переслане повідомлення|Перенаправлене повідомлення|Переадресоване повідомлення|Пересланий лист"
        "|Початок листа, що пересилається|Початок пересланого повідомлення|Початок переадресованого повідомлення",
        "Оригінальне повідомлення|Початкове повідомлення|Вихідне повідомлення",
        "пише|написав|написала|написав(-ла)",
        "Пересл|Перес",
        "Відп|Відповідь",
    ),
    Language(
        "lt",
        "Nuo|Siuntėjas",
        "Data|Išsiųsta",
        "Tema",
        "Kam|Gavėjas|Kopija",
        "",
        "Persiųstas laiškas|Persiunčiamas laiškas",
        "Pradinis laiškas|Originalus laiškas|Pradinis pranešimas",
        "rašė|parašė",
        "Prs|Persiųsta",
        "Ats|Atsakymas",
    ),
    Language(
        "lv",
        "No|Sūtītājs",
        "Datums|Nosūtīts",
        "Temats|Tēma",
        "Kam|Adresāts|Kopija",
        "",
        "Pārsūtīta vēstule|Pārsūtīts ziņojums|Pārsūtītā vēstule",
        "Sākotnējais ziņojums|Sākotnējā vēstule",
        "rakstīja",
        "Pārs|Pārsūtīts",
        "Atb|Atbilde",
    ),
    Language(
        "ca",
        "De",
        "Data|Enviat|Enviat el",
        "Assumpte",
        "A|Per a|Per",
        "Respon a|Adjuncions",
        "Missatge reenviat|Inici del missatge reenviat",
        "Missatge original",
        "va escriure|ha escrit",
        "RV|Reenviat",
        "Resposta",
    ),
    Language(
        "id",
        "Dari",
        "Tanggal|Dikirim",
        "Perihal|Subjek",
        "Kepada|Ke|Tembusan",
        "",
        "Pesan terusan|Pesan yang diteruskan|Pesan diteruskan|Awal pesan yang diteruskan",
        "Pesan asli",
        "menulis",
        "TRS|Terusan",
        "BLS|Balas",
    ),
    Language(
        "vi",
        "Từ|Người gửi",
        "Ngày|Đã gửi|Vào",
        "Chủ đề|Tiêu đề",
        "Đến|Tới|Người nhận|Đồng gửi",
        "",
        "Thư chuyển tiếp|Thư được chuyển tiếp|Bắt đầu thư được chuyển tiếp|Tin nhắn được chuyển tiếp",
        "Thư gốc|Tin nhắn gốc",
        "đã viết",
        "CHTI|Chuyển tiếp",
        "TL|Trả lời",
    ),
    Language(
        "th",
        "จาก|ผู้ส่ง",
        "วันที่|ส่ง|ส่งเมื่อ",
        "เรื่อง|หัวเรื่อง",
        "ถึง|สำเนา|สำเนาถึง",
        "",
        "ข้อความที่ส่งต่อ|เริ่มข้อความที่ส่งต่อ",
        "ข้อความต้นฉบับ",
        "เขียน|เขียนว่า",
        "ส่งต่อ",
        "ตอบกลับ",
    ),
    Language(
        "hi",
        "प्रेषक|से",
        "दिनांक|भेजा गया",
        "विषय",
        "प्राप्तकर्ता|प्रति",
        "",
        "अग्रेषित संदेश",
        "मूल संदेश",
        "ने लिखा",
        "अग्रेषित",
        "उत्तर",
    ),
    Language(
        "fa",
        "از|فرستنده",
        "تاریخ|ارسال شده|ارسال",
        "موضوع",
        "به|گیرنده|رونوشت",
        "",
        "پیام هدایت شده|پیام ارجاع‌شده",
        "پیام اصلی",
        "نوشت",
        "هدایت",
        "پاسخ",
    ),
    Language(
        "he",
        "מאת",
        "תאריך|נשלח|נשלח ב",
        "נושא",
        "אל|עותק|העתק",
        "",
        "הודעה מועברת|הודעה שהועברה|תחילת ההודעה המועברת",
        "הודעה מקורית",
        "כתב|כתבה|כתב/ה",
        "הועבר",
        "השב|תגובה",
    ),
    Language(
        "ar",
        "من",
        "التاريخ|تاريخ الإرسال|تم الإرسال|أرسلت",
        "الموضوع",
        "إلى|نسخة",
        "",
        "رسالة معاد توجيهها|الرسالة المعاد توجيهها|رسالة محولة|بداية الرسالة المعاد توجيهها|رسالة ممررة",
        "الرسالة الأصلية|رسالة أصلية",
        "كتب|كتبت",
        "إعادة توجيه",
        "رد",
    ),
    Language(
        "ja",
        "差出人|送信元|送信者|発信者",
        "日付|送信日時|日時|送信日|受信日時",
        "件名|題名",
        "宛先|送信先|受信者|写し",
        "返信先|添付ファイル|重要度",
        "転送メッセージ|メッセージを転送|転送されたメッセージ|転送メール|転送されたメール|転送されたメッセージの開始",
        "元のメッセージ|オリジナルメッセージ|元のメール",
        "書きました|さんのメール|のメール|さんは書きました",
        "転送",
        "返信",
    ),
    Language(
        "ko",
        "보낸 사람|발신자|보낸이|발신",
        "보낸 날짜|날짜|보낸 시간|발신일|일자",
        "제목",
        "받는 사람|수신자|받는이|수신|참조",
        "숨은 참조|회신 받을 사람|첨부",
        "전달된 메시지|전달된 메일|전달 메시지|전달된 이메일|전달된 메시지 시작",
        "원본 메시지|원본 메일|원래 메시지|원본 이메일",
        "작성|님이 작성|작성했습니다|썼습니다",
        "전달",
        "회신|답장",
    ),
    Language(
        "zh",
        "发件人|寄件者|寄件人|發件人|发信人",
        "日期|发送时间|发送日期|寄件日期|傳送時間|發送時間|发件时间|傳送日期|时间|時間",
        "主题|主旨|主題|标题",
        "收件人|收件者|抄送|副本|抄送人",
        "密送|密件副本|回复至|回覆至|附件",
        "转发的邮件|转发的消息|转发邮件|转发邮件信息|被转发邮件信息|下面是被转发的邮件|已转发邮件|已转发的邮件|转发信息|轉寄郵件|轉寄的郵件|轉寄訊息|轉寄的訊息|已轉寄郵件|已轉寄的郵件|開始轉寄郵件"
        "|以下是轉寄的郵件|轉寄信件|轉發郵件",
        "原始邮件|原始郵件|原邮件|邮件原件|原始信件|原始訊息",
        "写道|寫道|撰写|寫",
        "转发|轉寄|轉發",
        "回复|答复|回覆|答覆|回復",
    ),
)

_COUNTER = re.compile(r"[\[(][0-9]{1,3}[\])]\Z")


def key_of(words: str) -> str:
    """Return the form in which words are compared: without case, accents, spaces, and kinds of apostrophe."""
    plain = unicodedata.normalize("NFKD", words.replace("’", "'"))
    return "".join("".join(char for char in plain if not unicodedata.combining(char)).casefold().split())


@cache
def labels() -> dict[str, dict[Kind, frozenset[str]]]:
    """Return the field and the languages of each label, by the label's key."""
    found: dict[str, dict[Kind, frozenset[str]]] = {}
    for language in LANGUAGES:
        for kind in Kind:
            for key in _keys_in(getattr(language, kind)):
                kinds = found.setdefault(key, {})
                kinds[kind] = kinds.get(kind, frozenset()) | {language.code}
    return found


@cache
def separators() -> dict[str, bool]:
    """Return the separators by key, and whether only a forward has it."""
    originals = {key: False for language in LANGUAGES for key in _keys_in(language.original)}
    return originals | {key: True for language in LANGUAGES for key in _keys_in(language.forwarded)}


@cache
def wrote() -> re.Pattern[str]:
    """Return a pattern that finds the verb of an attribution line, like "wrote"."""
    words = sorted({word for language in LANGUAGES for word in language.wrote.split("|")}, key=len, reverse=True)
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, words))})(?!\w)|写道|寫道|のメール|작성", re.IGNORECASE)


def prefix_of(subject: str) -> tuple[Prefix | None, str]:
    """Return what the abbreviation at the start of a subject says, and the rest of the subject."""
    stated, colon, rest = _without_tags(subject).replace("：", ":").partition(":")
    key = key_of(_COUNTER.sub("", stated.strip()).rstrip(". "))
    found = _prefixes().get(key) if colon else None
    return (found, rest.strip()) if found else (None, subject.strip())


def bare_subject(subject: str) -> str:
    """Return a subject's key without the abbreviations at its start."""
    found: Prefix | None = Prefix.EITHER
    for _ in range(20):
        if found is None:
            break
        found, subject = prefix_of(subject)
    return key_of(subject)


def _without_tags(subject: str) -> str:
    """Return the subject without the tags that gateways put in front, like "[EXTERNAL]"."""
    text = subject.lstrip()
    for _ in range(5):
        if not text.startswith("["):
            break
        tag, _, rest = text[1:].partition("]")
        if ":" in tag and _prefixes().get(key_of(tag.partition(":")[0])):
            return tag  # "[Fwd: Offer]" of Netscape and SquirrelMail
        text = rest.lstrip()
    return text


@cache
def _prefixes() -> dict[str, Prefix]:
    forwards = {key for language in LANGUAGES for key in _keys_in(language.forwards)}
    replies = {key for language in LANGUAGES for key in _keys_in(language.replies)}
    found = dict.fromkeys(forwards, Prefix.FORWARD) | dict.fromkeys(replies, Prefix.REPLY)
    return found | dict.fromkeys(forwards & replies, Prefix.EITHER)


def _keys_in(cell: str) -> list[str]:
    """Return the keys of the words in one cell of the table."""
    return [key_of(word) for word in cell.split("|") if word]
