// The KQL editor: CodeMirror in a shadow root, where its own style sheets are allowed under the portal's content
// security policy. Colours, errors and completions come from the server; until it answers a small tokenizer colours.
import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap, type Completion, type CompletionContext, type CompletionResult } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { bracketMatching } from "@codemirror/language";
import { lintGutter, linter, type Diagnostic } from "@codemirror/lint";
import { EditorState, StateEffect, StateField, type Range } from "@codemirror/state";
import { Decoration, type DecorationSet, EditorView, drawSelection, highlightActiveLine, keymap, lineNumbers, placeholder } from "@codemirror/view";
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { analyse, type Analysis } from "../../api/logs";
import { tokenize } from "./tokens";

export interface EditorProps {
  /** What it shows when `turn` changes. What is typed since then is told by `onChange`, and not given back: it would race. */
  value: string;
  turn: number;
  onChange: (value: string) => void;
  onRun: (selected: string | null) => void;
}

const coloured = StateEffect.define<{ from: number; to: number; kind: string }[]>();

const colours = StateField.define<DecorationSet>({
  create: (state) => decorate(tokenize(state.doc.toString()), state.doc.length),
  update(value, change) {
    for (const effect of change.effects) if (effect.is(coloured)) return decorate(effect.value, change.state.doc.length);
    return change.docChanged ? decorate(tokenize(change.state.doc.toString()), change.state.doc.length) : value;
  },
  provide: (field) => EditorView.decorations.from(field),
});

const KINDS = new Set(["keyword", "operator", "function", "aggregate", "column", "table", "string", "number", "comment", "punctuation", "type", "literal", "name"]);

function decorate(tokens: readonly { from: number; to: number; kind: string }[], length: number): DecorationSet {
  const ranges: Range<Decoration>[] = [];
  for (const t of tokens) {
    if (t.from >= t.to || t.to > length || !KINDS.has(t.kind)) continue;
    ranges.push(Decoration.mark({ class: `kql-${t.kind}` }).range(t.from, t.to));
  }
  return Decoration.set(ranges, true);
}

function diagnosticsOf(analysis: Analysis, length: number): Diagnostic[] {
  return analysis.errors.slice(0, 50).map((e) => {
    const from = Math.min(e.from, length);
    return { from, to: Math.min(Math.max(e.to, from), length), severity: e.severity === "warning" ? "warning" : "error", message: `${e.code} ${e.message}${e.suggestion === undefined || e.suggestion === null ? "" : ` ${e.suggestion}`}` };
  });
}

/** One analysis both colours the text and marks its errors. */
const judged = linter(
  async (view) => {
    const text = view.state.doc.toString();
    if (text.trim() === "") return [];
    const analysis = await analyse(text, undefined);
    if (analysis === null || view.state.doc.toString() !== text) return [];
    if (analysis.tokens.length > 0) view.dispatch({ effects: coloured.of(analysis.tokens) });
    return diagnosticsOf(analysis, view.state.doc.length);
  },
  { delay: 250 },
);

const TYPES: Record<string, string> = { function: "function", aggregate: "function", column: "property", table: "class", operator: "keyword", keyword: "keyword" };

async function complete(context: CompletionContext): Promise<CompletionResult | null> {
  const before = context.matchBefore(/[\w$]+|[|]\s*/);
  if (before === null && !context.explicit) return null;
  const text = context.state.doc.toString();
  const analysis = await analyse(text, context.pos);
  if (analysis === null || context.aborted) return null;
  const first = analysis.completions[0];
  if (first === undefined) return null;
  const options = analysis.completions.slice(0, 300).map((c): Completion => {
    const type = TYPES[c.kind];
    return { label: c.label, apply: c.insert ?? c.label, ...(c.detail === undefined ? {} : { detail: c.detail }), ...(type === undefined ? {} : { type }) };
  });
  return { from: Math.min(first.from, context.pos), options, validFor: /^[\w$-]*$/ };
}

const look = EditorView.theme({
  "&": { fontSize: "13px", backgroundColor: "var(--surface)", color: "var(--text)", height: "100%" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.55" },
  ".cm-content": { caretColor: "var(--accent)", padding: "10px 0" },
  ".cm-cursor": { borderLeftColor: "var(--accent)" },
  ".cm-gutters": { backgroundColor: "var(--surface)", color: "var(--muted)", border: "0" },
  ".cm-activeLine": { backgroundColor: "color-mix(in srgb, var(--accent) 6%, transparent)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": { background: "color-mix(in srgb, var(--accent) 26%, transparent)" },
  "&.cm-focused .cm-matchingBracket": { background: "var(--accent-soft)" },
  ".cm-placeholder": { color: "var(--muted)" },
  ".cm-tooltip": { background: "var(--raised)", color: "var(--text)", border: "1px solid var(--line)", borderRadius: "6px", overflow: "hidden", boxShadow: "var(--shadow-high)" },
  ".cm-tooltip-autocomplete ul li": { padding: "3px 8px", lineHeight: "1.5" },
  ".cm-tooltip-autocomplete ul li[aria-selected]": { background: "var(--accent)", color: "var(--on-accent)" },
  ".cm-completionDetail": { color: "var(--muted)", fontStyle: "normal" },
  "li[aria-selected] .cm-completionDetail": { color: "inherit" },
  ".cm-diagnostic": { padding: "6px 10px", borderLeft: "3px solid var(--bad)", fontFamily: "var(--sans)" },
  ".kql-keyword, .kql-operator": { color: "var(--c7)", fontWeight: "600" },
  ".kql-function, .kql-aggregate": { color: "var(--c3)" },
  ".kql-table": { color: "var(--c1)", fontWeight: "600" },
  ".kql-string": { color: "var(--c2)" },
  ".kql-number, .kql-literal": { color: "var(--c4)" },
  ".kql-comment": { color: "var(--muted)", fontStyle: "italic" },
  ".kql-type": { color: "var(--c6)" },
});

export default function Editor(p: EditorProps): JSX.Element {
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  const latest = useRef(p);
  latest.current = p;

  useEffect(() => {
    const at = host.current;
    if (at === null) return;
    const root = at.shadowRoot ?? at.attachShadow({ mode: "open" });
    const run = (v: EditorView): boolean => {
      const { from, to } = v.state.selection.main;
      latest.current.onRun(from === to ? null : v.state.sliceDoc(from, to));
      return true;
    };
    const made = new EditorView({
      root,
      parent: root,
      state: EditorState.create({
        doc: latest.current.value,
        extensions: [
          keymap.of([{ key: "Ctrl-Enter", mac: "Cmd-Enter", run }, { key: "Shift-Enter", run }, { key: "Escape", run: leave }]),
          lineNumbers(),
          history(),
          drawSelection(),
          bracketMatching(),
          closeBrackets(),
          highlightActiveLine(),
          colours,
          judged,
          lintGutter(),
          autocompletion({ override: [complete], icons: false, activateOnTypingDelay: 120, tooltipClass: () => "kql-complete" }),
          keymap.of([...closeBracketsKeymap, ...completionKeymap, ...defaultKeymap, ...historyKeymap, indentWithTab]),
          placeholder("AzureDiagnostics | where ResultType != \"Success\" | take 100"),
          EditorView.lineWrapping,
          EditorView.contentAttributes.of({ "aria-label": "Query in KQL. Control and Enter runs it; Escape and then Tab leaves the editor." }),
          EditorView.updateListener.of((update) => {
            if (update.docChanged) latest.current.onChange(update.state.doc.toString());
          }),
          look,
        ],
      }),
    });
    view.current = made;
    return () => {
      made.destroy();
      view.current = null;
    };
  }, []);

  useEffect(() => {
    const now = view.current;
    if (now !== null && now.state.doc.toString() !== p.value) {
      now.dispatch({ changes: { from: 0, to: now.state.doc.length, insert: p.value } });
    }
  }, [p.turn]);

  return <div class="editor" ref={host} />;
}

/** Tab indents, so Escape must give the keyboard back. */
function leave(view: EditorView): boolean {
  view.contentDOM.blur();
  return true;
}
