# ruff: noqa: RUF001 -- letters that look like Latin ones are what this file is about
"""The alphabets of the built-in data set: base letters that differ in shape, also from those of other scripts.

What the fonts cover was thinned out by one rule: in the order below, a letter stays if its
`glyph_strokes.unlikeness` to every letter that already stayed is at least UNLIKE. So Latin A stands for the Greek and
the Cyrillic one, and o for its like in ten scripts. Letters with diacritics were no candidates; of the Canadian
syllabics only consonant and short vowel were. A test measures that no pair of the letters below breaks the rule.
"""

import re
import unicodedata

UNLIKE = 0.08  # chosen by eye: above it a person tells two letters apart; below it many a pair is one shape

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

# What a Unicode name says of the script, or of its being a letter.
NOT_THE_NAME = re.compile(
    r"^(MATHEMATICAL )?(LATIN|GREEK|CYRILLIC|ARMENIAN|GEORGIAN|HEBREW|ARABIC|NKO|LAO|TIFINAGH|LISU|OLD ITALIC|OGHAM"
    r"|CANADIAN SYLLABICS|FRAKTUR|BLACK-LETTER|SCRIPT) |\bLETTER "
)


def letter_name(letter: str) -> str:
    """The Unicode name without the script, as a file name: "capital_a", "alef"; unique within a script."""
    return NOT_THE_NAME.sub("", unicodedata.name(letter)).lower().replace(" ", "_").replace("-", "_")
