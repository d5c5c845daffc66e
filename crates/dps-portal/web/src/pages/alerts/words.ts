// Members of rules in words.
export const OPERATORS = [
  ["GreaterThan", "is above"],
  ["GreaterThanOrEqual", "is at least"],
  ["LessThan", "is below"],
  ["LessThanOrEqual", "is at most"],
  ["Equals", "is"],
] as const;

export function said(operator: string): string {
  return OPERATORS.find(([o]) => o === operator)?.[1] ?? operator;
}

export const EVERY = [
  ["PT1M", "every minute"],
  ["PT5M", "every 5 minutes"],
  ["PT15M", "every 15 minutes"],
  ["PT30M", "every 30 minutes"],
  ["PT1H", "every hour"],
] as const;

export const WINDOWS = [
  ["PT1M", "the last minute"],
  ["PT5M", "the last 5 minutes"],
  ["PT15M", "the last 15 minutes"],
  ["PT30M", "the last 30 minutes"],
  ["PT1H", "the last hour"],
  ["PT6H", "the last 6 hours"],
  ["PT12H", "the last 12 hours"],
  ["P1D", "the last day"],
] as const;

export const SEVERITY_CHOICES = [
  ["0", "0 Critical"],
  ["1", "1 Error"],
  ["2", "2 Warning"],
  ["3", "3 Information"],
  ["4", "4 Verbose"],
] as const;

export function frequency(every: string, window: string): string {
  return `${EVERY.find(([e]) => e === every)?.[1] ?? every}, over ${WINDOWS.find(([w]) => w === window)?.[1] ?? window}`;
}

const LENGTHS: Record<string, number> = { PT1M: 1, PT5M: 5, PT15M: 15, PT30M: 30, PT1H: 60, PT6H: 360, PT12H: 720, P1D: 1440 };

export function shorter(window: string, every: string): boolean {
  return (LENGTHS[window] ?? 0) < (LENGTHS[every] ?? 0);
}

export function wrongName(name: string): string | null {
  if (name.trim() === "") return "A name is needed";
  const bad = /[*#&+:<>?@%{}\\/|]/.exec(name);
  return bad === null ? null : `${bad[0]} cannot stand in a name`;
}
