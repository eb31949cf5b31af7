/** The values that can be filtered by, fetched once a build. */
import { createContext } from "preact";

import type { Facets } from "../api/types";
import type { Answer } from "../api/use";

const nothing: Answer<Facets> = { data: null, loading: false, problem: null, retry: () => undefined };

export const FacetsContext = createContext<Answer<Facets>>(nothing);
