// Requests to POST /tag that the service has to refuse, or that look as if it had to.

const LIMIT = 100_001; // one more than the default limit
const MARKUP = "<img src=x onerror=alert(1)> Ada Lovelace </script><script>alert(\"London\")</script> javascript:alert(1)";

/** By its name, the body of each; written as JSON, half a character stays half of one. */
export const FAULTS = {
  "Too long": JSON.stringify({ text: "London ".repeat(LIMIT / 7 + 1) }),
  "Half a character": '{"text": "Ada \\ud83d Lovelace"}',
  Empty: '{"text": "", "details": true}',
  Markup: JSON.stringify({ text: MARKUP }),
  "Not JSON": '{"text": "Ada Lovelace"',
  "Unknown label": '{"text": "Ada Lovelace", "labels": ["UNICORN"]}',
};
