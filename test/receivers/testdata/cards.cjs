// Renders Adaptive Cards with Microsoft's renderer, in jsdom. Reads an array of cards from stdin; prints, for each, its paragraphs as a
// reader sees them, the elements in it, and what the renderer has to say of it.
const fs = require('fs');
const {JSDOM} = require('jsdom');

const {window} = new JSDOM('<!doctype html><body></body>', {runScripts: 'outside-only'});
window.eval(fs.readFileSync(require.resolve('adaptivecards/dist/adaptivecards.js'), 'utf8'));
const {AdaptiveCards} = window;
// jsdom has no innerText, with which the renderer writes.
Object.defineProperty(window.HTMLElement.prototype, 'innerText', {
  get() { return this.textContent; },
  set(text) { this.textContent = text; },
});

function render(card) {
  const parser = new AdaptiveCards.AdaptiveCard();
  const context = new AdaptiveCards.SerializationContext(AdaptiveCards.Versions.v1_4);
  parser.parse(card, context);
  const element = parser.render();
  const events = [];
  for (let i = 0; i < context.eventCount; i++) events.push(context.getEventAt(i).message);
  return {
    paragraphs: [...element.querySelectorAll('.ac-richTextBlock')].map(e => e.textContent),
    elements: [...new Set([...element.querySelectorAll('*')].map(e => e.tagName.toLowerCase()))],
    events,
  };
}

let input = '';
process.stdin.setEncoding('utf8').on('data', text => { input += text; }).on('end', () => {
  process.stdout.write(JSON.stringify(JSON.parse(input).map(render)));
});
