"""What generated records look like: the words, and the JSON made of them. Source: api.md 4.1 to 4.6.

A recipe gets 20 random bytes, a number and the seed, and returns the members of a JSON object behind
its ids as text, which is ten times faster than building objects: no word needs to be escaped. Where
the service shows no sub-fields (addresses, status, users) the names are ours.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from datetime import date, timedelta
from typing import TypeVar

from paragon_async.emulator.virtual import VirtualFile

T = TypeVar("T")


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


FIRST = _words(
    "Ada Alan Amara Ana Anders Aiko Barbara Björn Carlos Chidi Clara Dag Dora Edsger Élise Emre Fatima"
    " Finn Frances Grace Hana Hedy Ines Ivan Jean José Jun Kofi Lars Leila Linus Lucía Margaret Mei"
    " Mika Nadia Noor Olga Omar Paulo Priya Radia René Rosa Sofia Søren Tove Yuki Zoë Zuri"
)
LAST = _words(
    "Abara Andersson Bianchi Castillo Chen Costa Dubois Eriksen Fischer García Haddad Hansen Hopper"
    " Ivanova Jansen Kaya Kim Kowalski Lamarr Liskov Lovelace Martin Mensah Moreau Müller Nakamura"
    " Nguyen Novak Okafor Oliveira Papadopoulos Patel Perlman Petrov Rossi Sato Schmidt Silva Singh"
    " Tanaka Torvald Turing Virtanen Wagner Walker Weber Yamada Yilmaz Zhang Ziegler"
)
COMPANY = _words(
    "Acorn Alpine Aurora Beacon Birch Bluebird Cascade Cedar Copper Delta Ember Falcon Fjord Granite"
    " Harbor Horizon Juniper Lantern Maple Meridian Nimbus North Onyx Orchard Pioneer Quartz Raven"
    " Sierra Summit Tidal Vertex Willow"
)
TRADE = _words(
    "Analytics Bank Builders Energy Foods Freight Health Labs Logistics Media Motors Partners"
    " Robotics Software Systems Textiles"
)
INDUSTRY = (
    "Banking", "Construction", "Education", "Energy", "Food", "Healthcare", "Logistics",
    "Manufacturing", "Media", "Retail", "Software", "Telecommunications",
)  # fmt: skip
JOB = (
    "Account Manager", "Buyer", "Chief Executive", "Data Analyst", "Designer", "Head of Sales",
    "Director of Operations", "Engineer", "Lawyer", "Product Manager", "Support Lead",
)  # fmt: skip
PLACE = (
    ("Amsterdam", "NH", "NL", "Europe/Amsterdam"), ("Austin", "TX", "US", "America/Chicago"),
    ("Berlin", "BE", "DE", "Europe/Berlin"), ("Bengaluru", "KA", "IN", "Asia/Kolkata"),
    ("Lagos", "LA", "NG", "Africa/Lagos"), ("London", "LND", "GB", "Europe/London"),
    ("Mexico City", "CMX", "MX", "America/Mexico_City"), ("New York", "NY", "US", "America/New_York"),
    ("Paris", "IDF", "FR", "Europe/Paris"), ("São Paulo", "SP", "BR", "America/Sao_Paulo"),
    ("Seattle", "WA", "US", "America/Los_Angeles"), ("Sydney", "NSW", "AU", "Australia/Sydney"),
    ("Tokyo", "13", "JP", "Asia/Tokyo"), ("Zürich", "ZH", "CH", "Europe/Zurich"),
)  # fmt: skip
STREET = ("Bridge Street", "Canal Road", "Church Lane", "Garden Avenue", "High Street", "Mill Road",
          "Park Avenue", "Station Road")  # fmt: skip
CONTACT_TYPE = ("lead", "customer", "prospect", "partner", "other")
CONTACT_STATUS = ("active", "inactive", "new", "qualified", "unqualified")
STAGE = ("subscriber", "lead", "opportunity", "customer", "evangelist")
LEAD_SOURCE = ("Web", "Referral", "Trade Show", "Cold Call", "Partner", "Newsletter")
TAG = ("priority", "renewal", "newsletter", "reference", "trial", "vip", "emea", "apac")
COMPANY_TYPE = ("customer", "prospect", "partner", "vendor")
DEAL_STATUS = (
    ("open", "Qualification", 10), ("open", "Needs Analysis", 20), ("open", "Proposal", 50),
    ("open", "Negotiation", 75), ("closed_won", "Closed Won", 100), ("closed_lost", "Closed Lost", 0),
)  # fmt: skip
NEXT_STEP = (
    "Call back",
    "Send the proposal",
    "Arrange a demonstration",
    "Wait for the board",
    "Sign",
)
PRIORITY = ("low", "normal", "high", "urgent")
TICKET_TYPE = ("Bug", "Task", "Question", "Incident", "Feature Request")
TICKET_STATUS = (
    ("new", "New", "new"), ("open", "Open", "open"), ("pending", "Waiting", "open"),
    ("solved", "Solved", "closed"), ("closed", "Closed", "closed"),
)  # fmt: skip
TROUBLE = (
    "The export is empty", "The invoice shows the wrong address", "Login fails after a password change",
    "Pages load slowly", "Reports arrive twice", "The calendar is one hour off",
    "Attachments cannot be opened", "Please add a dark mode", "The import stops half-way",
    "Search finds nothing",
)  # fmt: skip
COMMENT = (
    "I can reproduce this.", "It works on another machine.", "Please try again after the update.",
    "Thank you, this solved it.", "The log is attached.", "Any news on this?",
)  # fmt: skip
PRODUCT = (
    "Anchor",
    "Bearing",
    "Cable",
    "Drill",
    "Engine",
    "Filter",
    "Gasket",
    "Hinge",
    "Pump",
    "Valve",
)
COLOUR = ("black", "blue", "copper", "green", "red", "silver", "white")
FILE_NAME = (
    "budget",
    "contract",
    "dataset",
    "invoice",
    "minutes",
    "offer",
    "plan",
    "report",
    "scan",
)


def plain(word: str) -> str:
    """Return a name as it stands in an e-mail address."""
    spelled = unicodedata.normalize("NFKD", word.lower().replace("ø", "o"))
    return spelled.encode("ascii", "ignore").decode().replace(" ", "-")


_MAIL = {name: plain(name) for name in (*FIRST, *LAST)}
_DAYS = tuple(str(date(2019, 1, 1) + timedelta(days)) for days in range(2400))
_TIMES = tuple(
    f"{n // 60:02d}:{n % 60:02d}:{n * 7 % 60:02d}.{n * 11 % 1000:03d}Z" for n in range(24 * 60)
)


def file(d: bytes, virtual: VirtualFile) -> str:
    """Describe a file whose bytes are computed."""
    digest = virtual.sha256()
    value = "" if digest is None else f',"value":"{digest}"'
    number, size, seed = virtual.index, virtual.size, virtual.seed
    return (
        f'"name":"{_pick(FILE_NAME, d[0])}-{number:06d}.bin","mimeType":"application/octet-stream",'
        f'"size":{size},"url":"https://files.example.com/{seed}/{number}",{_dates(d)},'
        f'"hash":{{"type":"SHA256"{value}}},"parentFolderId":"root"'
    )


def contact(d: bytes, number: int, _seed: int) -> str:
    """Describe a person."""
    first, last = _pick(FIRST, d[0]), _pick(LAST, d[1])
    company, slug = _company(d)
    mail = f"{_MAIL[first]}.{_MAIL[last]}.{number}"
    tags = '"' + _pick(TAG, d[8]) + '"' if d[9] & 1 else ""
    notes = f'"Met in {_pick(PLACE, d[10])[0]}"' if d[9] & 2 else "null"
    return (
        f'"firstName":"{first}","lastName":"{last}","fullName":"{first} {last}",'
        f'"companyName":"{company}","jobTitle":"{_pick(JOB, d[4])}",'
        f'"emails":[{{"email":"{mail}@{slug}.example.com","type":"work"}}],'
        f'"phoneNumbers":[{{"number":"{_phone(d)}","type":"mobile"}}],"addresses":[{_address(d)}],'
        f'"socialProfiles":[{{"type":"linkedin","url":"https://linkedin.example.com/in/{mail}"}}],'
        f'"type":"{_pick(CONTACT_TYPE, d[6])}","status":"{_pick(CONTACT_STATUS, d[7])}",'
        f'"ownerId":"user-{d[11] % 20}",{_dates(d)},"lastActivityAt":"{_time(d, 300)}",'
        f'"lifecycleStage":"{_pick(STAGE, d[12])}","leadSource":"{_pick(LEAD_SOURCE, d[13])}",'
        f'"tags":[{tags}],"notes":{notes},"website":"https://{slug}.example.com",'
        f'"customFields":{{"score":{d[14] % 101},"newsletter":{_yes(d[15])}}}'
    )


def company(d: bytes, number: int, seed: int) -> str:
    """Describe a company."""
    name, slug = _company(d)
    parent = f'"gen-companies-{seed}-{number // 2:06d}"' if number > 1 and d[4] < 32 else "null"  # noqa: PLR2004  # one in eight
    people = 1 << d[5] % 17
    return (
        f'"name":"{name} {number}","description":"{_pick(INDUSTRY, d[6])} since {1900 + d[7] % 120}",'
        f'"website":"https://{slug}-{number}.example.com","addresses":[{_address(d)}],'
        f'"phoneNumbers":[{{"number":"{_phone(d)}","type":"work"}}],'
        f'"annualRevenue":{people * (40 + d[8]) * 1000},"numberOfEmployees":{people + d[9] % people},'
        f'"parentCompanyId":{parent},"timezone":"{_pick(PLACE, d[10])[3]}",'
        f'"type":"{_pick(COMPANY_TYPE, d[11])}","industry":"{_pick(INDUSTRY, d[6])}",'
        f'"ownerId":"user-{d[12] % 20}",{_dates(d)},"customFields":{{"rating":{d[13] % 6}}}'
    )


def deal(d: bytes, _number: int, seed: int) -> str:
    """Describe a deal with one of the first hundred companies."""
    kind, label, probability = _pick(DEAL_STATUS, d[4])
    name, _ = _company(d)
    amount = ((d[5] << 8 | d[6]) + 1) * (1, 10, 100)[d[7] % 3]
    return (
        f'"name":"{name}, {_pick(PRODUCT, d[8])}s","description":"{d[9] + 1} pieces",'
        f'"amount":{amount}.{d[10] % 100:02d},"statusType":"{kind}","status":"{label}",'
        f'"accountId":"gen-companies-{seed}-{d[11] % 100 + 1:06d}","ownerId":"user-{d[12] % 20}",'
        f'{_dates(d)},"closeDate":"{_DAYS[_day(d) + 30 + d[13]]}",'
        f'"nextStep":"{_pick(NEXT_STEP, d[14])}","probability":{probability},'
        f'"customFields":{{"competitor":"{_pick(COMPANY, d[15])}"}}'
    )


def ticket(d: bytes, number: int, seed: int) -> str:
    """Describe a ticket; its comments and attachments are in `originalRecord`."""
    status, label, category = _pick(TICKET_STATUS, d[4])
    title, kind, author = _pick(TROUBLE, d[5]), _pick(TICKET_TYPE, d[7]), _user(d[8], d[9])
    comments = ",".join(
        f'{{"id":"{number}-{n}","author":{_user(d[n], d[n + 1])},"body":"{_pick(COMMENT, d[n + 2])}",'
        f'"createdAt":"{_time(d, n + 1)}"}}'
        for n in range(d[10] % 5)
    )
    attached = f'{{"name":"log-{number}.txt","text":"{title}"}}' if d[11] & 1 else ""
    done = f'"{_time(d, 60)}"' if category == "closed" else "null"
    return (
        f'"title":"{title}","description":"**{title}** since {_DAYS[_day(d)]}.",'
        f'"status":{{"id":"{status}","name":"{label}","category":"{category}"}},'
        f'"priority":"{_pick(PRIORITY, d[6])}","type":"{kind}","assignees":[{_user(d[12], d[13])}],'
        f'"createdBy":{author},"tags":["{_pick(TAG, d[14])}"],"dueAt":"{_time(d, 90)}",'
        f'"resolvedAt":{done},"externalUrl":"https://tickets.example.com/{seed}/{number}",'
        f'"project":{{"id":"{d[15] % 8}","name":"{_pick(COMPANY, d[15] % 8)}"}},{_dates(d)},'
        f'"originalRecord":{{"key":"GEN-{number}","comments":[{comments}],"attachments":[{attached}]}}'
    )


def custom_object(d: bytes, number: int, seed: int, object_type: str) -> str:
    """Describe an object of a type of its own, whose name is given as JSON."""
    colour, product = _pick(COLOUR, d[0]), _pick(PRODUCT, d[1])
    return (
        f'"objectType":{object_type},{_dates(d)},"customFields":{{"Name":"{product} {number}",'
        f'"SKU__c":"{product[:3].upper()}-{seed}-{number:06d}","Colour__c":"{colour}",'
        f'"Price__c":{d[2]}.{d[3] % 100:02d},"Stock__c":{d[4] * 4},"Active__c":{_yes(d[5])}}}'
    )


def _pick(words: Sequence[T], byte: int) -> T:
    return words[byte % len(words)]


def _yes(byte: int) -> str:
    return "true" if byte & 1 else "false"


def _company(d: bytes) -> tuple[str, str]:
    first, second = _pick(COMPANY, d[2]), _pick(TRADE, d[3])
    return f"{first} {second}", f"{first}-{second}".lower()


def _phone(d: bytes) -> str:
    return f"+1-555-{d[11] % 10}{d[12] % 100:02d}-{d[13] % 100:02d}{d[14] % 100:02d}"


def _address(d: bytes) -> str:
    city, state, country, _ = _pick(PLACE, d[10])
    return (
        f'{{"street":"{d[15] + 1} {_pick(STREET, d[16])}","city":"{city}","state":"{state}",'
        f'"postalCode":"{10000 + d[15] * 256 + d[16]}","country":"{country}","type":"work"}}'
    )


def _user(first: int, last: int) -> str:
    given, family = _pick(FIRST, first), _pick(LAST, last)
    mail = f"{_MAIL[given]}.{_MAIL[family]}@example.com"
    return f'{{"id":"{mail}","name":"{given} {family}","email":"{mail}"}}'


def _dates(d: bytes) -> str:
    return f'"createdAt":"{_time(d, 0)}","updatedAt":"{_time(d, 1 + d[0])}"'


def _day(d: bytes) -> int:
    return (d[17] << 8 | d[18]) & 2047


def _time(d: bytes, later: int) -> str:
    return f"{_DAYS[_day(d) + later]}T{_TIMES[(d[18] << 8 | d[19]) % len(_TIMES)]}"
