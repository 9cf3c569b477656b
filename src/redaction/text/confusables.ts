/**
 * Characters that are read as ASCII, each followed by what it is read as. Letters of other
 * scripts, dashes, dots and slashes; compatibility forms (full width, mathematical, circled, …)
 * come from NFKC.
 *
 * @see Unicode Technical Standard 39, confusables.txt
 */
const LOOKALIKES: string =
  // Cyrillic
  'АAВBЕEЗ3ІIЈJКKМMНHОOРPСCТTУYХXЅSԌGԜWԚQҮYҺHӀIаaеeоoрpсcуyхxіiјjѕsһhԁdԛqԝwүyӏlԍGвBнHкkмMтTгrпnьbԀDԗpҽeғfөoҳx' +
  // Greek and Coptic
  'ΑAΒBΕEΖZΗHΙIΚKΜMΝNΟOΡPΤTΥYΧXαaβBγyεeηnιiκkνvοoρpσoτtυuχxωwϲcϳjϹCϜF' +
  // Armenian, Hebrew, Cherokee, Lisu, Georgian
  'ՕOօoոnսuցgհhյjԼLՍUԱUՏSզqեtսuաwիhоo' +
  'ᎪAᏴBᏟCᎠDᎬEᎿFᏀGᎻHᎥIᎫJᏦKᏞLᎷMᎾOᏢPᎡRᏚSᎢTᏙVᎳWᎽYᏃZᏎ4ᏮbꮯCꮪsꮃwꮓz' +
  'ꓮAꓐBꓚCꓓDꓰEꓝFꓖGꓧHꓲIꓙJꓗKꓡLꓟMꓠNꓳOꓑPꓣRꓢSꓔTꓴUꓦVꓪWꓫXꓬYꓜZ' +
  // Latin extensions
  'ɑaɡgıiɩiɪIʟLɴNʀRʏYʙBʜHɢGƖIǀlᴀAᴄcᴅDᴇEᴊJᴋKᴍMᴏoᴘPᴛTᴜUᴠvᴡwᴢzƅbƽ5ƨ2ȷjɵoʋvʐzꜱs' +
  // Signs
  "․.‧.。.｡.∙.⋅.‐-‑-‒-–-—-―-−-﹘-֊-᠆-⁃-➖-ー-⁄/∕/⧸/ǃ!ː:˸:։:׃:∶:ꓽ:＿_ˍ_‚,٫,¸,‛'ʼ'❨(❩)﴾(﴿)➕+";

/** Zero of every script's decimal digits that NFKC does not fold; the other nine follow it. */
const ZEROS: readonly number[] = [
  0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6, 0xe50,
  0xed0, 0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0,
  0x1c40, 0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0x104a0, 0x10d30, 0x11066,
  0x110f0, 0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0, 0x11650, 0x116c0, 0x11730, 0x118e0, 0x11950,
  0x11c50, 0x11d50, 0x11da0, 0x16a60, 0x16ac0, 0x16b50, 0x1e140, 0x1e2f0, 0x1e950,
];

/** Blocks whose compatibility forms matter: Latin-1, letterlike, circled, full width, maths. */
const COMPATIBILITY_BLOCKS: readonly (readonly [number, number])[] = [
  [0xa0, 0xff],
  [0x2000, 0x218f],
  [0x2460, 0x24ff],
  [0x3000, 0x3000],
  [0xfb00, 0xfb06],
  [0xfe10, 0xfe6f],
  [0xff00, 0xff65],
  [0x1d400, 0x1d7ff],
  [0x1f100, 0x1f1aa],
  [0x1fbf0, 0x1fbf9],
];

/** Code point to the ASCII text it is read as. */
export const READ_AS: ReadonlyMap<number, string> = new Map([
  ...compatibilityForms(),
  ...ZEROS.flatMap((zero) =>
    Array.from({ length: 10 }, (_, digit) => [zero + digit, String(digit)] as const),
  ),
  ...lookalikes(),
]);

function* compatibilityForms(): Generator<readonly [number, string]> {
  for (const [first, last] of COMPATIBILITY_BLOCKS) {
    for (let code = first; code <= last; code += 1) {
      const form = String.fromCodePoint(code).normalize('NFKC');
      // Marks that NFKC splits off, as in `´`, and forms that stay what they are tell nothing.
      if (/^[ -~]{1,4}$/.test(form)) yield [code, form];
    }
  }
}

function* lookalikes(): Generator<readonly [number, string]> {
  const characters = [...LOOKALIKES];
  for (let at = 0; at + 1 < characters.length; at += 2) {
    yield [(characters[at] as string).codePointAt(0) as number, characters[at + 1] as string];
  }
}
