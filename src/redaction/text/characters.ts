/** True for `0`–`9`. */
export function isDigit(code: number): boolean {
  return code >= 48 && code <= 57;
}

/** True for `A`–`Z` and `a`–`z`. */
function isLetter(code: number): boolean {
  return (code >= 97 && code <= 122) || (code >= 65 && code <= 90);
}

/** True for `0`–`9`, `a`–`f`, `A`–`F`. */
export function isHexDigit(code: number): boolean {
  return isDigit(code) || (code >= 97 && code <= 102) || (code >= 65 && code <= 70);
}

/** True for ASCII letters and digits: what glues a number to a longer word. */
export function isAlphanumeric(code: number): boolean {
  return isDigit(code) || isLetter(code);
}
