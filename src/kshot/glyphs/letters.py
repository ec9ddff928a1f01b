# ruff: noqa: RUF001 -- letters that look like Latin ones are what this file is about
"""The alphabets of the built-in data set: base letters that differ in shape, also across scripts.

The letters that the fonts cover were filtered by one rule: in the order below, a letter is included if its
`strokes.unlikeness` to every letter already included is at least UNLIKE. So Latin A represents the Greek and the
Cyrillic one, and o represents its lookalikes in ten scripts. Letters with diacritics were not considered; of the
Canadian syllabics only consonant with short vowel was. A test checks that no pair of the letters below breaks the rule.
"""

import re
import unicodedata

UNLIKE = 0.08  # chosen by eye: above it a person can distinguish two letters; below it many pairs have the same shape

ALPHABETS = {
    "Latin": "ABCDEFGHIJKLMNPQRSTUVWXYZbdefghkmnprtyßæœðøþ",
    "Greek": "ΔΛΞΣΦΨΩαβζηιλμνξπςστυφψωϙϟϡϻͱͳͷ",
    "Hebrew": "אבגדהזטךכלמנעףפץצקרשת",
    "NKo": "ߌߍߎߏߐߑߒߔߕߖߗߘߙߚߛߜߝߞߟߢߣߤߥߦߧ",
    "Lisu": "ꓒꓕꓘꓙꓛꓞꓤꓯꓱ",
    "Old_Italic": "𐌂𐌃𐌄𐌆𐌈𐌋𐌌𐌍𐌎𐌏𐌐𐌑𐌒𐌔𐌕𐌖𐌙𐌚𐌝",
    "Tifinagh": "ⴰⴱⴳⴴⴵⴻⴼⴽⴾⴿⵂⵃⵄⵆⵇⵈⵋⵌⵎⵐⵒⵕⵖⵗⵘⵚⵛⵜⵞⵢⵣⵤⵥ",
    "Georgian": "აბდთკლნორსტუფქღჯჲჴჶჺ",
    "Nuskhuri": "ⴀⴁⴅⴆⴇⴈⴉⴊⴍⴎⴏⴐⴑⴓⴕⴖⴗⴛⴜⴞⴟⴠⴡⴢⴣⴤⴥ",
    "Lao": "ກຂຄງຈຊຍດຕຖທນປຜຝພມຣລວສຮຯະາເແໂໃ",
    "Cyrillic": "БДЖЛЦЧШЩЪЫЭЮЯгьЂЄЉЊЋЏђћѢѦѪѬѮѰҔҘҧҩӃӠҽҾԇԎԖԠꙢꙤꙦꙮ",
    "Asomtavruli": "ႢႣႥႧႩႪႫႬႮႯႲႵႶႺႻႼჀჁჃჅ",
    "Armenian": "ԱԲԳԴԵԷԹԺԻԽԿՀՁՃՄՆՇՊՋՌՎՐՒՔՖզթխծկճմնշչպջռտփֆ",
    "Arabic": "ءبةتجحخدذرزسشطغفقكمنوىيٮٯںھگژۆ",
    "Ogham": "ᚂᚃᚇᚈᚋᚌᚍᚏᚑᚒᚕᚖ",
    "Fraktur": "𝔄𝔅𝔇𝔈𝔉𝔍𝔎𝔏𝔐𝔑𝔒𝔓𝔔𝔖𝔗𝔘𝔛𝔡𝔥𝔦𝔨𝔪𝔫𝔬𝔭𝔮𝔯𝔰𝔱𝔲𝔴𝔵𝔷ℭℌℑℨ",
    "Canadian_Syllabics": "ᐅᐊᐳᐸᑧᑨᑩᑪᑫᒉᒐᓀᓂᓄᓇᓓᓕᓗᓚᓭᓯᔐᔑᔓᔕᔦᔨᔪᔭᕂᕆᕈᕋᕓᕕᕗᕙᕞᕤᕦᕿᖁᖃᖏᖓᖠᖢᖤᙯᙰᙳ",
    "Script": "𝒜𝒞𝒥𝒦𝒩𝒪𝒫𝒬𝒯𝒰𝒱𝒴𝒶𝒷𝒸𝒹𝒻𝒽𝒾𝒿𝓁𝓃𝓅𝓆𝓇𝓈𝓉𝓊𝓋𝓍𝓎𝓏ℬℱℋℐℒℳℛℊℴ",
    "Phonetic": "ɗɘɚɞɠɣɫɮɱɲɳɶɷɸɻɽɾɿʁʃʅʆʇʉʍʎʐʑʓʔʕʚʞʡʢʣʤʦʧʨʩʪʫʬʭƕƛᴥȜꜧꜫꝨꝼȣȸᴔᴝꟽꟿꜦꜨꜼꜽ",
}

# The parts of a Unicode name that name the script, or say that it is a letter.
NOT_THE_NAME = re.compile(
    r"^(MATHEMATICAL )?(LATIN|GREEK|CYRILLIC|ARMENIAN|GEORGIAN|HEBREW|ARABIC|NKO|LAO|TIFINAGH|LISU|OLD ITALIC|OGHAM"
    r"|CANADIAN SYLLABICS|FRAKTUR|BLACK-LETTER|SCRIPT) |\bLETTER "
)


def letter_name(letter: str) -> str:
    """The Unicode name without the script, as a file name: "capital_a", "alef"; unique within a script."""
    return NOT_THE_NAME.sub("", unicodedata.name(letter)).lower().replace(" ", "_").replace("-", "_")
