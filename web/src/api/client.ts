/** Calls the JSON API and turns what goes wrong into a {@link Problem} that a person can act on. */

export const API = "/api/v1";

/** Something that went wrong, in the words of RFC 9457: what, why, and which parameter was the cause. */
export class Problem extends Error {
  constructor(
    readonly title: string,
    readonly detail: string,
    readonly status: number,
    readonly kind: string,
    readonly parameter: string | null,
  ) {
    super(`${title}: ${detail}`);
  }

  /** Nothing was built yet, so there are no numbers to show. */
  get noBuild(): boolean {
    return this.status === 409 && this.kind.endsWith("no-build");
  }
}

/** Fetches `path` (below {@link API}, query included) as JSON. */
export async function get<T>(path: string, signal: AbortSignal): Promise<T> {
  let response: Response;
  try {
    response = await fetch(API + path, { signal, headers: { accept: "application/json" } });
  } catch (error) {
    if (signal.aborted) throw error;
    throw new Problem("No answer", `${location.host} does not answer. Is "streamreel serve" still running?`, 0, "", null);
  }
  if (!response.ok) throw await problem(response);
  try {
    return (await response.json()) as T;
  } catch (error) {
    if (signal.aborted) throw error;
    throw new Problem(
      "Unreadable answer",
      `${API}${path} did not answer with JSON, or broke off: ${error}`,
      response.status,
      "",
      null,
    );
  }
}

async function problem(response: Response): Promise<Problem> {
  const text = await response.text();
  try {
    const body = JSON.parse(text) as Record<string, unknown>;
    const field = (name: string): string | null => (typeof body[name] === "string" ? (body[name] as string) : null);
    const title = field("title") ?? response.statusText;
    return new Problem(title, field("detail") ?? "", response.status, field("type") ?? "", field("parameter"));
  } catch {
    return new Problem(`Status ${response.status}`, text.slice(0, 300) || response.statusText, response.status, "", null);
  }
}
