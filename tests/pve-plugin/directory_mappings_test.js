// SPDX-License-Identifier: Apache-2.0
//
// directory-mappings.js with fakes of what it uses of ExtJS and of Proxmox VE's classes: how classes
// are overridden, and what the window's panel takes from and gives to its form.
const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const vm = require('node:vm');

const file = path.join(__dirname, '../../pve-plugin/usr/share/vfskit/pve-plugin/directory-mappings.js');
const script = new vm.Script(fs.readFileSync(file, 'utf8'), { filename: file });

const method = 'live-migration-method';
const relation = 'path-relation';

class FakeWindow {
    initComponent() {
        this.initialised = true;
    }
}

// What the fake's panel answers for a form, as the one of Proxmox VE does.
function panel() {
    return {
        xtype: 'inputpanel',
        columnB: [{ xtype: 'proxmoxtextfield', name: 'description' }],
        onSetValues: (values) => values,
        onGetValues: ({ node, path: directory, description, delete: cleared, ...rest }) => {
            assert.deepEqual(rest, {}, 'the mapping of a node is made of what is left');
            const request = { map: [`node=${node},path=${directory}`] };
            return Object.assign(request, description && { description }, cleared && { delete: cleared });
        },
    };
}

function run(change = () => {}) {
    const warnings = [];
    class Window extends FakeWindow {}
    Window.prototype.items = [panel()];
    class List extends FakeWindow {}
    List.prototype.columns = [{ dataIndex: 'text' }];
    const classes = { 'PVE.window.DirMapEditWindow': Window, 'PVE.dc.DirMapView': List };
    const aliases = { 'widget.proxmoxKVComboBox': class {} };
    const Ext = {
        ClassManager: { get: (name) => classes[name], getByAlias: (alias) => aliases[alias] },
        String: { htmlEncode: (text) => text.replaceAll('<', '&lt;') },
        define: (_name, { override, initComponent }) => {
            const target = classes[override].prototype;
            const original = target.initComponent;
            target.initComponent = function (...parameters) {
                this.callParent = () => original.apply(this, parameters);
                initComponent.apply(this, parameters);
            };
        },
    };
    change({ classes, aliases, Window, List });
    const console = { warn: (text) => warnings.push(text) };
    script.runInContext(vm.createContext({ Ext, console }));
    return { warnings, Window, List };
}

function open({ Window }, loaded) {
    const window = new Window();
    window.initComponent();
    assert.ok(window.initialised);
    if (loaded) {
        window.items[0].onSetValues(loaded);
    }
    return window.items[0];
}

// What is sent for a form; copied, because objects of another context are never deeply equal.
function sent(opened, form) {
    return JSON.parse(JSON.stringify(opened.onGetValues({ node: 'n1', path: '/srv', ...form })));
}

const map = ['node=n1,path=/srv'];

test('the window has a field for each property, shown where the comment is', () => {
    const fields = open(run()).columnB;
    assert.deepEqual(fields.map(({ name }) => name), ['description', method, relation]);
    for (const field of fields.slice(1)) {
        assert.equal(field.xtype, 'proxmoxKVComboBox');
        assert.equal(field.cbind.hidden, '{hideComment}');
        assert.equal(field.cbind.disabled, '{hideComment}');
    }
    assert.deepEqual(
        Array.from(fields[1].comboItems, ([value]) => value),
        ['__default__', 'find-paths', 'file-handles'],
    );
});

test('every window has its own', () => {
    const ui = run();
    const first = open(ui, { map, [method]: 'find-paths' });
    const second = open(ui, { map });
    assert.deepEqual(sent(first, { [method]: 'find-paths' }), { map });
    assert.deepEqual(sent(second, { [method]: 'find-paths' }), { map, [method]: 'find-paths' });
    assert.equal(ui.Window.prototype.items[0].columnB.length, 1);
});

test('a new mapping is sent with what was chosen', () => {
    const form = { description: 'films', [method]: 'find-paths', [relation]: 'replicas' };
    assert.deepEqual(sent(open(run()), form), { map, ...form });
    assert.deepEqual(sent(open(run()), { delete: [method, relation] }), { map });
});

test('what was not changed is not sent', () => {
    const loaded = { map, [method]: 'find-paths', [relation]: 'same-directory' };
    const form = { [method]: 'find-paths', [relation]: 'same-directory', delete: 'description' };
    assert.deepEqual(sent(open(run(), loaded), form), { map, delete: ['description'] });
});

test('a property is changed, and taken away', () => {
    const loaded = { map, [method]: 'find-paths', [relation]: 'same-directory' };
    assert.deepEqual(
        sent(open(run(), loaded), { [method]: 'file-handles', [relation]: 'same-directory' }),
        { map, [method]: 'file-handles' },
    );
    assert.deepEqual(
        sent(open(run(), loaded), { [relation]: 'same-directory', delete: [method, 'description'] }),
        { map, delete: `description,${method}` },
    );
    assert.deepEqual(
        sent(open(run(), loaded), { delete: [method, relation] }),
        { map, delete: `${method},${relation}` },
    );
});

test('fields that are not shown change nothing', () => {
    const loaded = { map, [method]: 'find-paths' };
    assert.deepEqual(sent(open(run(), loaded), {}), { map });
});

test('the list shows the method', () => {
    const { List } = run();
    const list = new List();
    list.initComponent();
    const column = list.columns[1];
    assert.equal(column.dataIndex, method);
    assert.equal(column.renderer('find-paths'), 'find-paths');
    assert.equal(column.renderer('<b>'), '&lt;b>');
    assert.equal(column.renderer(undefined), '');
    assert.equal(List.prototype.columns.length, 1);
});

for (const [what, change] of [
    ['another panel', (items) => ({ ...items[0], xtype: 'panel' })],
    ['a panel without the column', (items) => ({ ...items[0], columnB: undefined })],
    ['a panel that keeps its values', (items) => ({ ...items[0], onGetValues: undefined })],
    ['a field of that name', (items) => ({ ...items[0], columnB: [{ name: method }] })],
]) {
    test(`a window with ${what} stays as it is`, () => {
        let items;
        const ui = run(({ Window }) => {
            items = [change(Window.prototype.items)];
            Window.prototype.items = items;
        });
        const window = new ui.Window();
        window.initComponent();
        assert.equal(window.items, items);
        assert.ok(window.initialised);
        assert.match(ui.warnings.join(), /vfskit: the window .* is left as Proxmox VE has it/);
    });
}

for (const name of ['PVE.window.DirMapEditWindow', 'PVE.dc.DirMapView']) {
    test(`an interface without '${name}' stays as it is`, () => {
        const ui = run(({ classes }) => delete classes[name]);
        assert.match(ui.warnings.join(), /there is no/);
        assert.equal(new ui.Window().initComponent, FakeWindow.prototype.initComponent);
        assert.equal(new ui.List().initComponent, FakeWindow.prototype.initComponent);
    });
}

test('an interface without the combo box stays as it is', () => {
    const ui = run(({ aliases }) => delete aliases['widget.proxmoxKVComboBox']);
    assert.match(ui.warnings.join(), /there is no 'proxmoxKVComboBox'/);
    assert.equal(new ui.Window().initComponent, FakeWindow.prototype.initComponent);
});
