/**
 * Luhn check of the digits in a text; other characters are ignored.
 *
 * @returns false when there is no digit
 * @see ISO/IEC 7812-1 annex B
 */
export function hasLuhnChecksum(text: string): boolean {
  let sum = 0;
  let digits = 0;
  for (let at = text.length - 1; at >= 0; at -= 1) {
    const digit = text.charCodeAt(at) - 48;
    if (digit < 0 || digit > 9) continue;
    const doubled = digits % 2 === 1 ? digit * 2 : digit;
    sum += doubled > 9 ? doubled - 9 : doubled;
    digits += 1;
  }
  return digits > 0 && sum % 10 === 0;
}

/**
 * ISO 7064 MOD 97-10 check of an IBAN; spaces and hyphens are ignored.
 *
 * @see ISO 13616-1
 */
export function hasIbanChecksum(text: string): boolean {
  const iban = text.replace(/[\s-]/g, '').toUpperCase();
  if (!/^[A-Z]{2}\d{2}[A-Z\d]{11,30}$/.test(iban)) return false;
  let remainder = 0;
  for (const character of iban.slice(4) + iban.slice(0, 4)) {
    const value = Number.parseInt(character, 36);
    remainder = (remainder * (value > 9 ? 100 : 10) + value) % 97;
  }
  return remainder === 1;
}
