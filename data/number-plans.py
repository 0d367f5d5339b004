#!/usr/bin/env python3
"""Writes data/number-plans.txt: how numbers are written in each country, and which ones there are.

    pip install phonenumbers==9.0.33
    python3 data/number-plans.py >data/number-plans.txt

After a change of the version, look at the tests of src/message/numbering.rs.
"""

import phonenumbers
from phonenumbers import phonemetadata
from phonenumbers.data import _AVAILABLE_NONGEO_COUNTRY_CODES, _AVAILABLE_REGION_CODES

# A letter for each kind.
KINDS = {
    "p": "premium_rate",
    "f": "fixed_line",
    "m": "mobile",
    "t": "toll_free",
    "s": "shared_cost",
    "n": "personal_number",
    "v": "voip",
    "g": "pager",
    "u": "uan",
    "e": "voicemail",
}

HEAD = f"""\
# How numbers are written in each country, and which ones there are. One line a region, its parts separated by tabs: its
# letters (ISO 3166; 001 is no country), its country code, what is dialled before the code of another country (a regular
# expression), what is dialled before a number of the country, the digits of a common mobile number, the pattern of all its
# numbers; how these begin, if other countries have the code too (a regular expression); and for each kind of number a letter, the numbers of digits, and the pattern. The letters: p premium rate, f fixed
# line, m mobile, t toll-free, s shared cost, n personal number, v voice over IP, g pager, u universal access, e voice mail.
#
# Source: Google's libphonenumber (Apache-2.0), in the Python package `phonenumbers` {phonenumbers.__version__}. Made by data/number-plans.py.\
"""


def squeezed(pattern):
    return "".join((pattern or "").split())


def line(of):
    # A kind without lengths of its own has those of all numbers.
    general = of.general_desc
    mobile = of.mobile.example_number if of.mobile else None
    parts = [
        of.id,
        str(of.country_code),
        squeezed(of.international_prefix),
        of.national_prefix or "",
        str(len(mobile)) if mobile else "",
        squeezed(general.national_number_pattern),
        squeezed(of.leading_digits),
    ]
    for letter, name in KINDS.items():
        kind = getattr(of, name)
        if not kind or not kind.national_number_pattern:
            continue
        lengths = ",".join(map(str, kind.possible_length or general.possible_length))
        parts.append(f"{letter} {lengths} {squeezed(kind.national_number_pattern)}")
    return "\t".join(parts)


regions = [phonemetadata.PhoneMetadata.metadata_for_region(id) for id in _AVAILABLE_REGION_CODES]
regions += [phonemetadata.PhoneMetadata.metadata_for_nongeo_region(code) for code in _AVAILABLE_NONGEO_COUNTRY_CODES]
print(HEAD)
for of in sorted(regions, key=lambda of: (of.country_code, not of.main_country_for_code, of.id)):
    print(line(of))
